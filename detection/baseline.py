"""Where the centre of healthy running is now: it follows slow change, but never further than the limit itself."""

from __future__ import annotations

import math

import numpy as np

from detection.questions import Questions
from detection.rows import SILENT, STEPS, Floats, Ints, Rows
from detection.settings import Settings

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
    def learned(cls, centre: Floats) -> Baseline:
        """The level that was learned, in healthy deviations (k)."""
        steps = np.rint(centre * STEPS).astype(np.int64)
        return cls(steps, steps.copy())

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
        if questions.level_limit.distance(away)[0] <= _FARTHEST:
            self.centre = centre


class Levels:
    """The levels at which a machine runs healthily: the one learned, and at most one that it settled at since."""

    def __init__(self, questions: Questions, settings: Settings, centre: Floats) -> None:
        self.accepted = [Baseline.learned(centre)]
        self._questions = questions
        self._settings = settings

    def nearest(self, rows: Rows) -> Baseline:
        """The level that the last window of `rows` is closest to."""
        window = rows[-self._settings.window :]
        if len(self.accepted) == 1 or len(window) < self._settings.window:
            return self.accepted[0]
        return min(self.accepted, key=lambda level: self._distance(window, level))

    def accept(self, rows: Rows) -> bool:
        """Take the last window as a level of its own, in place of an earlier one, unless it is at one already."""
        window = rows[-self._settings.window :]
        near = self.nearest(window)
        if self._distance(window, near) <= self._settings.clear_below:
            return False
        self.accepted = [self.accepted[0], Baseline.settled(window, near.centre)]
        return True

    def follow(self, rows: Rows) -> None:
        """Let the level that the machine is at move towards the last block of rows."""
        self.nearest(rows).follow(rows[-FOLLOW_ROWS:], self._questions, self._settings.follow_rows)

    def _distance(self, window: Rows, level: Baseline) -> float:
        return float(self._questions.level(window, level.centre)[-1])


def mean_level(rows: Rows, before: Ints) -> Ints:
    """The mean of each channel in steps; `before` where it was silent."""
    level = np.rint(rows.sum(axis=0, dtype=np.int64) / len(rows)).astype(np.int64)
    silent = (rows == SILENT).any(axis=0)
    return np.where(silent, before, level)
