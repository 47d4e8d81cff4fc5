"""The answers at the last row alone, kept up row by row: what enters a window is added, what leaves is taken away.

The sums are whole numbers below 2⁵³, which floating point adds exactly in any order: kept up over a day or summed
anew, they agree to the bit. `advance` and `answered` work on arrays (…, rows, k), so many machines are one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.explain import decisive, excesses, normalised
from detection.kinds import Kind
from detection.questions import JUMP_ROWS, Questions
from detection.rows import STEPS, Floats, Ints, Rows, middle_of_three

_HALF = JUMP_ROWS // 2
# Medians looked at: where something enters or leaves one of the jump's four windows.
_SIX = 6


class Plan(NamedTuple):
    """Which rows a step looks at, for a `window` and so many accepted `levels`.

    `back` names them by their distance from the last row: thrice six for the medians; what enters the window, once for
    its steps and once per level, and what leaves it; the rows before these two. Of the six medians, `enters` and
    `leaves` say which do so in the window, the half minute before it, its own later half, and the half minute before.
    """

    window: int
    levels: int
    back: NDArray[np.intp]
    enters: NDArray[np.intp]
    leaves: NDArray[np.intp]


class Normals(NamedTuple):
    """What rows and sums are held against, in the shapes they have.

    `reference` (…, 2 + 2 levels, k): the row before, and the centres; differences from it count from `low` to `high`.
    `scale` (6 + levels, k) makes a mean of healthy deviations of each sum; `roots` (…, 1 + levels, k, k) are the
    jump's, then the level's for each level.
    """

    reference: Floats
    low: Floats
    high: Floats
    scale: Floats
    rough_limit: Floats
    roots: Floats


class Answered(NamedTuple):
    """`lengths` (…, 1 + levels): the jump, then how far each level is; roughness per channel (…, k); their origins."""

    lengths: Floats
    roughness: Floats
    shifts: Floats
    steps: Floats


@cache
def plan_of(window: int, levels: int) -> Plan:
    """The plan for a window of so many rows and so many levels."""
    six = np.array([0, window, window // 2, 2 * window, 2 * window + _HALF, 2 * window + JUMP_ROWS])
    moving = [0] * (1 + levels) + [window] * (1 + levels)
    back = np.array([*six, *(six + 1), *(six + 2), *moving, 1, window + 1])
    return Plan(window, levels, back, np.array([0, 3, 0, 4]), np.array([1, 4, 2, 5]))


def advance(plan: Plan, rows: Floats, normals: Normals, sums: Floats) -> None:
    """Move the sums (…, 6 + levels, k) on by one row; `rows` (…, n, k), those that `plan.back` names, are used up."""
    one, first, last = 1 + plan.levels, 3 * _SIX, 3 * _SIX + 2 * (1 + plan.levels)
    normals.reference[..., ::one, :] = rows[..., last:, :]
    away = rows[..., first:last, :]
    np.subtract(away, normals.reference, out=away)
    np.maximum(away, normals.low, out=away)
    np.minimum(away, normals.high, out=away)
    net = sums[..., :one, :]
    np.add(net, away[..., :one, :] - away[..., one:, :], out=net)
    steps = np.abs(away[..., ::one, :])
    travelled = sums[..., one, :]
    np.add(travelled, steps[..., 0, :] - steps[..., 1, :], out=travelled)
    a, b, c = rows[..., :_SIX, :], rows[..., _SIX : 2 * _SIX, :], rows[..., 2 * _SIX : first, :]
    calm = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    jumping = sums[..., one + 1 :, :]
    np.add(jumping, calm.take(plan.enters, axis=-2) - calm.take(plan.leaves, axis=-2), out=jumping)


def answered(plan: Plan, normals: Normals, sums: Floats) -> Answered:
    """The answers that the sums give: to the bit what `Questions` gives for the whole rows."""
    one = 1 + plan.levels
    means = sums / normals.scale
    steps = (sums[..., one, :] - np.abs(sums[..., 0, :])) / normals.scale[0]
    # Window and half minute before, then the halves nearest to now of both: see `questions.agreed`.
    whole, part = means[..., one + 1 : one + 3, :], means[..., one + 3 :, :]
    ways = np.minimum(whole, part) - np.maximum(whole, part)[..., ::-1, :]
    np.maximum(ways, 0.0, out=ways)
    shifts = means[..., :one, :]
    np.subtract(ways[..., 0, :], ways[..., 1, :], out=shifts[..., 0, :])
    white = np.vecdot(normals.roots, shifts[..., None, :])
    return Answered(np.sqrt(np.vecdot(white, white)), steps / normals.rough_limit, shifts, steps)


class Windows:
    """One machine's sums, from the last of its rows (m, k; history + 1 of them or more, in which every channel spoke).

    `score` is the largest answer.
    """

    def __init__(self, questions: Questions, rows: Rows, centres: Sequence[Ints]) -> None:
        self.plan = plan_of(questions.window, len(centres))
        self.normals = _normals(questions, centres)
        self.sums = _summed(questions, rows, centres)
        self._questions = questions
        self.take(answered(self.plan, self.normals, self.sums))

    def step(self, table: Rows, last: int) -> None:
        """The machine's next row is `table[last]`."""
        rows = table.take(last - self.plan.back, axis=0).astype(np.float64)
        advance(self.plan, rows, self.normals, self.sums)
        self.take(answered(self.plan, self.normals, self.sums))

    def take(self, found: Answered) -> None:
        """These are the answers at the last row."""
        self._found = found
        self._jump, *self._levels = found.lengths.tolist()
        self._roughness = max(found.roughness.tolist())
        self.score: float = max(min(self._levels), self._roughness, self._jump)

    def recentre(self, rows: Rows, centres: Sequence[Ints]) -> None:
        """The accepted levels have moved; `rows` are as before."""
        one = 1 + self.plan.levels
        for level, centre in enumerate(centres, start=1):
            self.sums[level] = self._questions.clipped(rows[-self.plan.window :], centre).sum(axis=0)
            self.normals.reference[level::one] = centre
        self.take(answered(self.plan, self.normals, self.sums))

    def shares(self) -> Floats:
        """Each channel's share (k) in the largest answer, as `detection.explain` says it of the whole rows."""
        level, questions = min(self._levels), self._questions
        kind = decisive({Kind.LEVEL: level, Kind.ROUGHNESS: self._roughness, Kind.JUMP: self._jump})
        if kind is Kind.ROUGHNESS:
            return normalised(excesses(questions, self._found.steps))
        if kind is Kind.JUMP:
            return normalised(questions.jump_limit.savings(self._found.shifts[0]))
        return normalised(questions.level_limit.savings(self._found.shifts[1 + self._levels.index(level)]))


def _normals(questions: Questions, centres: Sequence[Ints]) -> Normals:
    levels, window, k = len(centres), questions.window, questions.channels
    once = np.array([np.zeros(k), *centres], dtype=np.float64)
    high = np.array([questions.step_clip] + [questions.row_clip] * levels, dtype=np.float64)
    lengths = np.array([window] * (2 + levels) + [window, _HALF, window // 2, _HALF])
    roots = np.array([questions.jump_limit.root] + [questions.level_limit.root] * levels)
    return Normals(
        reference=np.concatenate((once, once)),
        low=np.concatenate((-high, -high)),
        high=np.concatenate((high, high)),
        scale=np.repeat(lengths[:, None] * float(STEPS), k, axis=1),
        rough_limit=questions.rough_limit,
        roots=roots,
    )


def _summed(questions: Questions, rows: Rows, centres: Sequence[Ints]) -> Floats:
    """All sums (6 + levels, k), from scratch."""
    window = questions.window
    wide = rows[-questions.history - 1 :].astype(np.int64)
    steps = np.clip(np.diff(wide[-window - 1 :], axis=0), -questions.step_clip, questions.step_clip)
    calm = middle_of_three(wide)
    turn = len(calm) - 2 * window
    parts = [steps, *(questions.clipped(wide[-window:], centre) for centre in centres), np.abs(steps)]
    parts += [calm[-window:], calm[turn - _HALF : turn], calm[-(window // 2) :], calm[turn - JUMP_ROWS : turn - _HALF]]
    return np.array([part.sum(axis=0) for part in parts], dtype=np.float64)
