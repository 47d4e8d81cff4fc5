"""`make bench` measures the chain; `make bench ARGS="store"` the store; `…="load --seconds 60"` runs Locust.

The detector: `…="alerts"` as people get them, `…="skab"` on the public yardstick, `…="detector"` what it costs.
"""

from __future__ import annotations

import sys
from importlib import import_module

# Imported when asked for: one is not measured with the libraries of another in memory.
COMMANDS = {
    "alerts": "benchmarks.alerts:main",
    "chain": "benchmarks.chain:main",
    "detector": "benchmarks.detector:main",
    "faults": "benchmarks.faults:main",
    "fleet": "benchmarks.fleet:main",
    "draw": "benchmarks.load_proof:redraw",
    "gateway": "benchmarks.gateway:main",
    "load": "benchmarks.load_proof:main",
    "skab": "benchmarks.skab_table:main",
    "store": "benchmarks.store:main",
}


def main() -> None:
    """Run the named benchmark, the chain by default."""
    name, *arguments = sys.argv[1:] or ["chain"]
    if name not in COMMANDS:
        raise SystemExit(f"there is no benchmark {name!r}; there are {', '.join(COMMANDS)}")
    module, function = COMMANDS[name].split(":")
    getattr(import_module(module), function)(arguments)


main()
