"""Starts a part of Ronda as its command would, with its seams wrapped and a clock that the tests can set.

`python -m tests.faults.launch FOLDER PART ARGUMENT…`: FOLDER is the part's control folder.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any


def set_clock(file: Path) -> None:
    """Have `time.time` run ahead by the seconds that stand in `file`; nothing else of the machine moves."""
    true_time = time.time

    def shifted() -> float:
        try:
            return true_time() + float(file.read_text())
        except (FileNotFoundError, ValueError):
            return true_time()

    time.time = shifted


def hasten() -> None:
    """The gateway's patience with an outbox that the store is silent about, as short as that of our devices."""
    from tests.faults.senders import STALL_MS

    pacing: Any = importlib.import_module("edge.gateway.pacing")
    pacing.STALL_MS = STALL_MS


def main() -> None:
    """Wrap, then be that part."""
    folder, part, *arguments = Path(sys.argv[1]), *sys.argv[2:]
    set_clock(folder / "clock")
    from tests.faults.seams import Control, wrap

    wrap(part, Control(folder))
    if part == "gateway":
        hasten()
    sys.argv = ["ronda", *arguments]
    from ronda.cli import main as ronda

    ronda()


if __name__ == "__main__":
    main()
