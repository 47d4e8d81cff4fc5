"""`make bench` runs the chain; `make bench ARGS="chain --readings 20000"` chooses."""

from __future__ import annotations

import sys

from benchmarks import chain

COMMANDS = {"chain": chain.main}


def main() -> None:
    """Run the named benchmark, the chain by default."""
    name, *arguments = sys.argv[1:] or ["chain"]
    if name not in COMMANDS:
        raise SystemExit(f"there is no benchmark {name!r}; there are {', '.join(COMMANDS)}")
    COMMANDS[name](arguments)


main()
