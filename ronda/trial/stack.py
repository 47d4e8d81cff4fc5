"""Rows that keep coming, held once: the array grows in place."""

from __future__ import annotations

import numpy as np

from detection.rows import Floats

# Grown by a half each time, so that a row is moved twice on average, and at most a third stands empty.
_GROWTH = 1.5
_FIRST_ROWS = 8192


class Stack:
    """A table of `width` columns to which blocks of rows (m, width) are added."""

    def __init__(self, width: int) -> None:
        self._rows: Floats = np.empty((_FIRST_ROWS, width))
        self._filled = 0

    def __len__(self) -> int:
        return self._filled

    def add(self, block: Floats) -> None:
        """Put m rows below what is there."""
        needed = self._filled + len(block)
        if needed > len(self._rows):
            # In place: no view of it is handed out before the last row.
            self._rows.resize((max(needed, int(_GROWTH * len(self._rows))), self._rows.shape[1]), refcheck=False)
        self._rows[self._filled : needed] = block
        self._filled = needed

    def rows(self) -> Floats:
        """All rows (n, width)."""
        return self._rows[: self._filled]
