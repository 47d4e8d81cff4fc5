"""Where the centre of healthy running is now: it follows slow change, but never further than the limit itself."""

from __future__ import annotations

import math

import numpy as np

from detection.questions import Questions, distance
from detection.rows import SILENT, STEPS, Ints, Rows

# The centre moves once per 30 rows, so that a block in between can be scored at once.
FOLLOW_ROWS = 30
# Only clearly healthy rows are followed: what is on its way out must not pull the centre along.
FOLLOW_BELOW = 0.7
# The followed centre stays within the learned limit: a bearing that wears over weeks is then still found, at twice the
# limit at the latest, however slowly it goes.
_FARTHEST = 1.0


class Baseline:
    """One accepted level of healthy running: where it was accepted (`anchor`), where it is now (`centre`), in steps."""

    def __init__(self, anchor: Ints, centre: Ints) -> None:
        self.anchor = anchor
        self.centre = centre

    @classmethod
    def learned(cls, channels: int) -> Baseline:
        """The level that the model was fitted on."""
        return cls(np.zeros(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64))

    @classmethod
    def settled(cls, rows: Rows, before: Ints) -> Baseline:
        """The level of `rows`; a channel that was silent stays at `before`."""
        level = mean_level(rows, before)
        return cls(level, level.copy())

    def follow(self, rows: Rows, questions: Questions, follow_rows: int) -> None:
        """Move a little towards the mean of one block of healthy rows."""
        pull = 1 - math.exp(-len(rows) / follow_rows)
        centre = self.centre + np.rint(pull * (mean_level(rows, self.centre) - self.centre)).astype(np.int64)
        away = (centre - self.anchor)[None, :] / STEPS
        if distance(away, questions.level_limit, questions.level_root)[0] <= _FARTHEST:
            self.centre = centre


def mean_level(rows: Rows, before: Ints) -> Ints:
    """The mean of each channel in steps; `before` where it was silent."""
    level = np.rint(rows.sum(axis=0, dtype=np.int64) / len(rows)).astype(np.int64)
    silent = (rows == SILENT).any(axis=0)
    return np.where(silent, before, level)
