"""The answers at the last row alone, kept up row by row: what enters a window is added, what leaves is taken away.

The sums are whole numbers below 2⁵³, which floating point adds exactly in any order: kept up over a day or summed
anew, they agree to the bit. `advance` and `answered` work on arrays (rows, …, k), so many machines are one call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.ellipsoid import Mask
from detection.explain import decisive, excesses, normalised
from detection.kinds import Kind
from detection.questions import JUMP_ROWS, Questions
from detection.rows import SILENT, STEPS, Floats, Ints, Rows, middle_of_three
from detection.turns import TURN_ROWS

_HALF = JUMP_ROWS // 2
# A step looks at six medians of three rows: where something enters or leaves one of the jump's four windows.
_MEDIANS = 6
_LOOKED_AT = 3 * _MEDIANS


class Plan(NamedTuple):
    """What a step looks at, for a window of so many rows and so many accepted `levels` (L).

    `places` (n): rows of the last `reach`, for the medians, for what enters the windows and what leaves them, and the
    rows before those. `into` (L + 11, m) adds what was made of them to the sums (L + 11): way made and level (L) of the
    window, by how much the last half minute is above the one before, steps travelled in the window; then what the jump
    compares: window and half minute before, the later half of the window and the half minute before that; and these
    four crosswise.
    """

    window: int
    levels: int
    reach: int
    places: NDArray[np.intp]
    into: Floats


class Normals(NamedTuple):
    """What rows and sums are held against, in the shapes they have.

    `reference` (2L + 4, …, k): the centres, and the row before; differences from it count from `low` to `high`.
    `scale` (L + 11, …, k) makes means in healthy deviations of the sums; `roots` (L + 2, …, k, k) are the jump's, then
    the level's.
    """

    reference: Floats
    low: Floats
    high: Floats
    scale: Floats
    rough_limit: Floats
    roots: Floats


class Answered(NamedTuple):
    """Squared lengths (L + 2, …) of the `shifts` (L + 2, …, k): jump, each level, change of the last half minute.

    `roughness` (…, k) is in limits, made of `steps` (…, k).
    """

    squares: Floats
    shifts: Floats
    roughness: Floats
    steps: Floats


@cache
def plan_of(window: int, levels: int) -> Plan:
    """The plan for a window of so many rows and so many levels."""
    six = np.array([0, window, window // 2, 2 * window, 2 * window + _HALF, 2 * window + JUMP_ROWS])
    moving = [0] * (levels + 1) + [window] * (levels + 1) + [TURN_ROWS, 2 * TURN_ROWS]
    back = np.array([*six, *(six + 1), *(six + 2), *moving, 1, window + 1])
    # Numbers of what is made: medians, levels and step that enter, step and levels that leave, turns, steps travelled.
    level, step, turn = _MEDIANS, _MEDIANS + levels, _MEDIANS + 2 * levels + 2
    window_, before, later, earlier = (0, 1), (3, 4), (0, 2), (4, 5)
    pairs = [(step, step + 1), *((level + each, step + 2 + each) for each in range(levels))]
    pairs += [(level, turn), (turn + 2, turn + 3)]
    pairs += [window_, before, later, earlier, before, window_, earlier, later]
    into = np.zeros((len(pairs), turn + 4))
    for total, (enters, leaves) in enumerate(pairs):
        into[total, [enters, leaves]] = 1, -1
    # What leaves the last half minute enters the one before, which is taken away.
    into[levels + 1, [turn, turn + 1]] = -2, 1
    reach = int(back.max()) + 1
    return Plan(window, levels, reach, reach - 1 - back, into)


def advance(plan: Plan, rows: Floats, normals: Normals, sums: Floats) -> None:
    """Move the sums (L + 11, k) on by one row; `rows` (n, k), those of the plan's places, are used up.

    The rows of many machines may stand side by side: nothing here knows where one ends.
    """
    levels, reference = plan.levels, normals.reference
    a, b, c = rows[:_MEDIANS], rows[_MEDIANS : 2 * _MEDIANS], rows[2 * _MEDIANS : _LOOKED_AT]
    away, last = rows[_LOOKED_AT:-2], rows[-2:]
    reference[levels : levels + 2] = last
    # Into other memory than is read from: NumPy is four times as fast then.
    np.minimum(np.maximum(away - reference, normals.low), normals.high, out=away)
    np.abs(away[levels : levels + 2], last)
    np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c), out=c)
    np.add(sums, np.dot(plan.into, rows[2 * _MEDIANS :]), sums)


def answered(plan: Plan, normals: Normals, sums: Floats) -> Answered:
    """The answers that the sums (L + 11, …, k) give: to the bit what `Questions` and `Turns` make of the whole rows."""
    at = 2 + plan.levels
    travelled = sums[at]
    means = sums / normals.scale
    steps = (travelled - np.abs(sums[0])) / normals.scale[0]
    # How far now is beyond before, and before beyond now: see `questions.agreed`.
    low, high = (
        np.minimum(means[at + 1 : at + 3], means[at + 3 : at + 5]),
        np.maximum(means[at + 5 : at + 7], means[at + 7 :]),
    )
    ways = np.maximum(low - high, 0.0)
    shifts = means[:at]
    np.subtract(ways[0], ways[1], shifts[0])
    white = np.vecdot(normals.roots, shifts[..., None, :])
    return Answered(np.vecdot(white, white), shifts, steps / normals.rough_limit, steps)


class Windows:
    """One machine's sums, from the last of its rows (m, k; history + 1 of them or more) that no alarm's end disturbs.

    `score` is the largest answer, `change` how far the last half minute is from the one before; both 1 at the limit,
    NaN where every channel was silent. `stale`: the shares are to be had by another `answer` only.
    """

    def __init__(self, questions: Questions, rows: Rows, centres: Sequence[Ints]) -> None:
        self.plan = plan_of(questions.window, len(centres))
        self.normals = _normals(questions, centres)
        self.sums = _summed(questions, rows, centres)
        self.score = self.change = math.nan
        self.stale = True
        self._questions = questions
        self._limits = [questions.jump_limit] + [questions.level_limit] * (len(centres) + 1)
        # For how long a channel must have spoken to have a part in each of the shifts.
        spans = [questions.history + 1] + [questions.window] * len(centres) + [2 * TURN_ROWS]
        self._spans = np.array(spans)[:, None]
        self._heard: NDArray[np.bool_] | None = None
        self._roots = self.normals.roots

    def seen(self, table: Rows, end: int) -> Rows:
        """The rows to look at (n, k) when the last one before `end` in the table is new."""
        return table[end - self.plan.reach : end].take(self.plan.places, 0)

    def step(self, table: Rows, end: int) -> None:
        """The machine's next row is the last one before `end` in the table."""
        advance(self.plan, self.seen(table, end).astype(np.float64), self.normals, self.sums)

    def answer(self, rows: Rows, spoken: int) -> None:
        """Ask at the last of the machine's rows, in the last `spoken` of which every channel spoke."""
        if spoken > self._questions.history:
            self.take(answered(self.plan, self.normals, self.sums))
        else:
            self._answer_heard(rows[-self._questions.history - 1 :] == SILENT)

    def take(self, found: Answered, heard: Mask | None = None) -> None:
        """These are the answers at the last row; `heard` (L + 2, k): who had a part, None for everyone."""
        self._found, self._heard, self.stale = found, heard, False
        self._jump, *self._levels, self.change = map(math.sqrt, found.squares.tolist())
        self._roughness = max(found.roughness.tolist())
        self.score = max(min(self._levels), self._roughness, self._jump)

    def _answer_heard(self, silent: Mask) -> None:
        """The same where channels were `silent` (m, k): each question leaves out those that did not always speak."""
        since = np.where(silent.any(axis=0), silent[::-1].argmax(axis=0), len(silent))
        heard = since >= self._spans
        if self._heard is None or not np.array_equal(heard, self._heard):
            self._roots = np.array([limit.root_of(mask) for limit, mask in zip(self._limits, heard, strict=True)])
        found = answered(self.plan, self.normals._replace(roots=self._roots), self.sums)
        spoke = since > self.plan.window
        nobody = [not mask[limit.channels].any() for limit, mask in zip(self._limits, heard, strict=True)]
        self.take(
            Answered(
                squares=np.where(nobody, np.nan, found.squares),
                shifts=found.shifts,
                roughness=np.where(spoke, found.roughness, 0.0),
                steps=np.where(spoke, found.steps, 0.0),
            ),
            heard,
        )

    def told(self, sums: Floats, score: float, change: float) -> None:
        """What was worked out elsewhere for the machine's next row."""
        self.sums[:] = sums
        self.score, self.change, self.stale, self._heard = score, change, True, None

    def recentre(self, rows: Rows, centres: Sequence[Ints]) -> None:
        """The accepted levels have moved; `rows` are as before."""
        levels, window, reference = self.plan.levels, rows[-self.plan.window :], self.normals.reference
        for level, centre in enumerate(centres):
            self.sums[1 + level] = self._questions.clipped(window, centre).sum(axis=0)
            reference[[level, levels + 2 + level]] = centre
        recent = self._questions.clipped(rows[-2 * TURN_ROWS :], centres[0])
        self.sums[1 + levels] = recent[TURN_ROWS:].sum(axis=0) - recent[:TURN_ROWS].sum(axis=0)
        reference[-2:] = centres[0]
        self.stale = True

    def shares(self) -> Floats:
        """Each channel's share (k) in the largest answer, as `detection.explain` says it of the whole rows."""
        found, level, jump = self._found, min(self._levels), self._jump
        if self._heard is not None:
            level, jump = (-1.0 if math.isnan(answer) else answer for answer in (level, jump))
        kind = decisive(level, self._roughness, jump)
        if kind is Kind.ROUGHNESS:
            return normalised(excesses(self._questions, found.steps))
        at = 0 if kind is Kind.JUMP else 1 + self._levels.index(level)
        return normalised(self._limits[at].savings(found.shifts[at], None if self._heard is None else self._heard[at]))


def _normals(questions: Questions, centres: Sequence[Ints]) -> Normals:
    levels, window, k = len(centres), questions.window, questions.channels
    nothing, steps, rows = np.zeros(k), questions.step_clip, questions.row_clip
    bounds = np.array([*[rows] * levels, steps, steps, *[rows] * (levels + 2)], dtype=np.float64)
    jumping = [window, _HALF, window // 2, _HALF, _HALF, window, _HALF, window // 2]
    lengths = [window] * (1 + levels) + [TURN_ROWS, window] + jumping
    return Normals(
        reference=np.array([*centres, nothing, nothing, *centres, centres[0], centres[0]], dtype=np.float64),
        low=-bounds,
        high=bounds,
        scale=np.repeat(np.array(lengths)[:, None] * float(STEPS), k, axis=1),
        rough_limit=questions.rough_limit,
        roots=np.array([questions.jump_limit.root] + [questions.level_limit.root] * (levels + 1)),
    )


def _summed(questions: Questions, rows: Rows, centres: Sequence[Ints]) -> Floats:
    """All sums (L + 11, k), from scratch."""
    window, last = questions.window, rows[-questions.history - 1 :]
    wide = last[-window - 1 :].astype(np.int64)
    steps = np.minimum(np.maximum(wide[1:] - wide[:-1], -questions.step_clip), questions.step_clip)
    recent, calm = questions.clipped(last[-2 * TURN_ROWS :], centres[0]), middle_of_three(last)
    levels = [questions.clipped(last[-window:], centre) for centre in centres]
    turn, now, half = len(calm) - 2 * window, calm[-window:], calm[len(calm) - window // 2 :]
    before, earlier = calm[turn - _HALF : turn], calm[turn - JUMP_ROWS : turn - _HALF]
    parts = [steps, *levels, np.concatenate((recent[TURN_ROWS:], -recent[:TURN_ROWS])), np.abs(steps)]
    jumping = [now, before, half, earlier, before, now, earlier, half]
    return np.array([part.sum(axis=0) for part in (*parts, *jumping)], dtype=np.float64)
