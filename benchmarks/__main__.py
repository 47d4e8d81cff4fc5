"""`make bench` measures the chain; `make bench ARGS="store"` the store; `…="load --seconds 60"` runs Locust."""

from __future__ import annotations

import sys

from benchmarks import chain, load_proof, store

COMMANDS = {"chain": chain.main, "draw": load_proof.redraw, "load": load_proof.main, "store": store.main}


def main() -> None:
    """Run the named benchmark, the chain by default."""
    name, *arguments = sys.argv[1:] or ["chain"]
    if name not in COMMANDS:
        raise SystemExit(f"there is no benchmark {name!r}; there are {', '.join(COMMANDS)}")
    COMMANDS[name](arguments)


main()
