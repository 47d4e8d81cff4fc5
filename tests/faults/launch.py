"""Starts a part of Ronda as its command would, with its seams wrapped and a clock that the tests can set.

`python -m tests.faults.launch FOLDER PART ARGUMENT…`: FOLDER is the part's control folder.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def set_clock(file: Path) -> None:
    """Have `time.time` run ahead by the seconds that stand in `file`; nothing else of the machine moves."""
    true_time = time.time

    def shifted() -> float:
        try:
            return true_time() + float(file.read_text())
        except (FileNotFoundError, ValueError):
            return true_time()

    time.time = shifted


def main() -> None:
    """Wrap, then be that part."""
    folder, part, *arguments = Path(sys.argv[1]), *sys.argv[2:]
    set_clock(folder / "clock")
    from tests.faults.seams import Control, wrap

    wrap(part, Control(folder))
    sys.argv = ["ronda", *arguments]
    from ronda.cli import main as ronda

    ronda()


if __name__ == "__main__":
    main()
