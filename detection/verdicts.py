"""What is said about a block of rows, as it is being judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detection.change import Change
from detection.rows import Floats

_UNJUDGED = np.full(1, np.nan)


class Verdicts(NamedTuple):
    """What is said about a block of n rows: changes, scores (n), and the rows that are change points."""

    changes: list[Change]
    scores: Floats
    turns: list[int]


def unjudged_row() -> Verdicts:
    """About a block of one row, nothing yet."""
    return Verdicts([], _UNJUDGED.copy(), [])
