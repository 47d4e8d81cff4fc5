"""Change points: when did the machine begin to run differently? Two neighbouring half minutes that differ say so.

Judged with the same metric as the level: what is a shift for one question is one for the other. A change is told once;
the next one needs half a minute that was quiet.
"""

from __future__ import annotations

import math

from detection.questions import Questions, heard_throughout
from detection.rows import STEPS, Floats, Ints, Rows, window_sums

# Long enough for a mean that single readings do not move, short enough to say when: half a minute at 1 Hz.
TURN_ROWS = 30
# Looked at every five rows: a change is placed to within five seconds, at a fifth of the cost.
LOOK_ROWS = 5


class Turns:
    """Finds change points; `quiet` counts the rows since the two half minutes last differed."""

    def __init__(self) -> None:
        self.quiet = TURN_ROWS

    def forget(self) -> None:
        """What went before says nothing about now."""
        self.quiet = TURN_ROWS

    def find(self, rows: Rows, count: int, fresh: int, centre: Ints, questions: Questions) -> list[int]:
        """Which of the last `count` of m rows are change points; `fresh` rows before those follow without a hole."""
        first = LOOK_ROWS - 1 - fresh % LOOK_ROWS
        first += LOOK_ROWS * max(0, math.ceil((2 * TURN_ROWS - fresh - first - 1) / LOOK_ROWS))
        looks = range(first, count, LOOK_ROWS)
        if not looks:
            self.quiet += count
            return []
        seen = rows[len(rows) - count + first + 1 - 2 * TURN_ROWS : len(rows) - count + looks[-1] + 1]
        differs = _differences(seen, centre, questions) > limit(questions.window)
        if not differs.any():
            self.quiet += count
            return []
        found, done = [], 0
        for row, differ in zip(looks, differs.tolist(), strict=True):
            if self.step(row + 1 - done, differ=differ):
                found.append(row)
            done = row + 1
        self.quiet += count - done
        return found

    def step(self, count: int, *, differ: bool) -> bool:
        """So many rows on: is the last one a change point, given whether the two half minutes differ there?"""
        self.quiet += count
        if not differ:
            return False
        told = self.quiet >= TURN_ROWS
        self.quiet = 0
        return told


def limit(window: int) -> float:
    """How far two means of 30 rows differ by chance when one of `window` rows is away by 1.

    By the root of 2 / 30 of a row's noise, against that of 1 / window.
    """
    return math.sqrt(2 * window / TURN_ROWS)


def _differences(rows: Rows, centre: Ints, questions: Questions) -> Floats:
    """How far two neighbouring half minutes lie apart, at every fifth of `rows` from the first whole minute on.

    1 is the level's limit; NaN where every sensor was silent.
    """
    sums = window_sums(questions.clipped(rows, centre), TURN_ROWS)
    heard = heard_throughout(rows, 2 * TURN_ROWS)
    moved = sums[TURN_ROWS::LOOK_ROWS] - sums[: len(sums) - TURN_ROWS : LOOK_ROWS]
    return questions.level_limit.distance(moved / (TURN_ROWS * STEPS), None if heard is None else heard[::LOOK_ROWS])
