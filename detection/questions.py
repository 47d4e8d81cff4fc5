"""Three questions about a window of rows: is it elsewhere, did it jump, is it rougher? Each answer 1 is the limit.

Level is a Hotelling T² of the window mean: one number for all channels together, so that a joint shift counts. A
channel that drifts in health has a wide limit there, so jump asks whether it moved faster than it ever did. Roughness
sees what leaves the mean alone: cavitation, a loose contact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.ellipsoid import Ellipsoid, Mask
from detection.kinds import Kind
from detection.model import Normal
from detection.rows import SILENT, STEPS, Floats, Ints, Rows, middle_of_three, running_total, window_sums

# A jump is measured against the minute (at 1 Hz) before the window: long enough to be quiet, short enough to
# forget drift.
JUMP_ROWS = 60
# After a hole ten rows before the window must do: their mean is noisier, by less than the sensitivity leaves room for.
LEAST_JUMP_ROWS = 10
# One wild reading must not alarm: a row counts in the window's mean with at most half of what reaches the limit, and a
# step from row to row with a quarter (a wild reading makes two of them).
_ROW_SHARE, _STEP_SHARE = 0.5, 0.25


class Questions:
    """What is normal, made ready to be asked. `baseline` (k, steps) is the centre in use, which follows the machine."""

    def __init__(self, normal: Normal, window: int) -> None:
        self.window = window
        # Between the window and the minute it is compared with lies another window: a jump then stands against what was
        # before it for as long as it takes to believe it.
        self.history = 2 * self.window + JUMP_ROWS + 1
        self.jump_needs = self.window + LEAST_JUMP_ROWS + 1
        self.channels = len(normal.centre)
        j = len(normal.jump_channels)
        self.level_limit = Ellipsoid(np.asarray(normal.level_limit), range(self.channels), self.channels)
        self.jump_limit = Ellipsoid(np.asarray(normal.jump_limit).reshape(j, j), normal.jump_channels, self.channels)
        self.rough_normal, self.rough_limit = np.asarray(normal.rough_normal), np.asarray(normal.rough_limit)
        # How far one channel alone must move for the limit, in healthy deviations.
        self.reach = 1 / np.sqrt((self.level_limit.root**2).sum(axis=0))
        self.row_clip = np.rint(_ROW_SHARE * self.window * self.reach * STEPS).astype(np.int64)
        self.step_clip = np.rint(_STEP_SHARE * self.window * self.rough_limit * STEPS).astype(np.int64)

    @property
    def jump_channels(self) -> Ints:
        """The channels that drift in health."""
        return self.jump_limit.channels

    def scores(self, rows: Rows, count: int, fresh: int, calm: int, centres: Sequence[Ints]) -> Floats:
        """The answers' maximum for each of the last `count` of m rows, NaN where a window is not full or all is silent.

        `fresh` of the rows before those `count` follow each other without a hole, `calm` of them since the last alarm
        was over: the way back from one is no jump. The level is judged against the nearest of the accepted `centres`.
        """
        return largest(self.levels(rows, count, fresh, centres), self.movements(rows, count, fresh, calm))

    def levels(self, rows: Rows, count: int, fresh: int, centres: Sequence[Ints]) -> Floats:
        """The first question's answers alone, the nearest of the `centres` counting; as in `scores`."""
        out = np.full(count, np.nan)
        seen = rows[max(0, len(rows) - count - min(fresh, self.window - 1)) :]
        if len(seen) >= self.window:
            levels = [self.level(seen, centre) for centre in centres]
            out[count - len(levels[0]) :] = np.minimum.reduce(levels)
        return out

    def movements(self, rows: Rows, count: int, fresh: int, calm: int) -> Floats:
        """The other two's answers, which ask for no centre: the larger one, NaN where neither can be asked yet."""
        out = np.full(count, np.nan)
        seen = rows[max(0, len(rows) - count - min(fresh, self.window)) :]
        if len(seen) > self.window:
            _keep_larger(out, self.roughness(seen))
        before = rows[max(0, len(rows) - count - min(calm, self.history)) :]
        if len(before) > self.jump_needs and self.jump_channels.size:
            _keep_larger(out, self.jump(before)[-count:])
        return out

    def parts(self, kind: Kind, rows: Rows, baseline: Ints) -> Floats:
        """One question's answer at the last of `rows` as a vector whose length (roughness: largest entry) it is.

        The rows follow each other without a hole; a silent channel has no part, and nothing has where rows are too few.
        """
        if kind is Kind.ROUGHNESS:
            enough = len(rows) > self.window
            return self._rough_parts(rows[-self.window - 1 :]) if enough else np.zeros_like(self.rough_limit)
        if kind is Kind.LEVEL:
            return _last_parts(self.level_limit, *self.level_shift(rows[-self.window :], baseline))
        if len(rows) <= self.jump_needs or not self.jump_channels.size:
            return np.zeros(len(self.jump_channels))
        return _last_parts(self.jump_limit, *self.jump_shift(rows[-self.history - 1 :]))

    def _rough_parts(self, rows: Rows) -> Floats:
        return np.asarray(self.rough_steps(rows)[-1] / self.rough_limit)

    def level(self, rows: Rows, baseline: Ints) -> Floats:
        """Scores of the last m - window + 1 of m rows."""
        return self.level_limit.distance(*self.level_shift(rows, baseline))

    def clipped(self, rows: Rows, baseline: Ints) -> Ints:
        """How far each row is from the baseline (m, k), no wild reading further than it may count."""
        return np.asarray(np.minimum(np.maximum(rows - baseline, -self.row_clip), self.row_clip))

    def level_shift(self, rows: Rows, baseline: Ints) -> tuple[Floats, Mask | None]:
        """The window's mean against the baseline (s, k) in healthy deviations; a mask where a channel was silent."""
        return window_sums(self.clipped(rows, baseline), self.window) / (self.window * STEPS), heard_throughout(
            rows, self.window
        )

    def jump(self, rows: Rows) -> Floats:
        """Scores of the last m - jump_needs of m rows, for a machine with drifting channels."""
        return self.jump_limit.distance(*self.jump_shift(rows))

    def jump_shift(self, rows: Rows) -> tuple[Floats, Mask | None]:
        """How far the window is from the minute before (s, k), see `jumps`; 0 where a channel does not drift."""
        found, heard = jumps(rows[:, self.jump_channels], self.window)
        shift = np.zeros((len(found), self.channels))
        shift[:, self.jump_channels] = found
        if heard is None:
            return shift, None
        mask = np.zeros(shift.shape, dtype=bool)
        mask[:, self.jump_channels] = heard
        return shift, mask

    def roughness(self, rows: Rows) -> Floats:
        """Scores of the last m - window of m rows."""
        return np.asarray((self.rough_steps(rows) / self.rough_limit).max(axis=1))

    def rough_steps(self, rows: Rows) -> Floats:
        """How much each channel goes back and forth over the window (s, k), in healthy deviations; 0 where silent."""
        means = back_and_forth(rows, self.window, self.step_clip)
        heard = heard_throughout(rows, self.window + 1)
        return means if heard is None else np.where(heard, means, 0.0)


def largest(levels: Floats, movements: Floats) -> Floats:
    """The largest answer of each row; a row whose level cannot be told is not judged (NaN)."""
    return np.where(np.isnan(levels), np.nan, np.fmax(levels, movements))


def _last_parts(limit: Ellipsoid, shift: Floats, heard: Mask | None) -> Floats:
    return limit.parts(shift[-1], None if heard is None else heard[-1])


def _keep_larger(out: Floats, answers: Floats) -> None:
    """Raise the last rows of `out` to `answers` where those are larger."""
    tail = out[len(out) - len(answers) :]
    np.fmax(tail, answers, out=tail)


def jumps(rows: Rows, window: int) -> tuple[Floats, Mask | None]:
    """The window's mean against a minute's, a window earlier (s, k), in healthy deviations; robust to single wild rows.

    Halves have to bear it out: the whole window and its later half, against either half of the minute, agree that it
    moved at least so far. A dip of some seconds is then over when it is over, and is no yardstick either.

    Of m rows the last m - window - LEAST_JUMP_ROWS - 1 have an answer, the first of them against what there is.
    The mask says which channels spoke throughout, None when every one did.
    """
    calm = middle_of_three(rows).astype(np.int64)
    ends = np.arange(window + LEAST_JUMP_ROWS, len(calm) + 1)
    turns = np.minimum(np.maximum(ends - 2 * window, LEAST_JUMP_ROWS), ends - window)
    begins = np.maximum(turns - JUMP_ROWS, 0)
    total = running_total(calm)
    half = turns - (turns - begins) // 2
    before = [_mean(total, begins, half), _mean(total, half, turns)]
    now = [_mean(total, ends - window, ends), _mean(total, ends - window // 2, ends)]
    shift = agreed(np.minimum(*now), np.maximum(*now), np.minimum(*before), np.maximum(*before))
    silent = rows == SILENT
    if not silent.any():
        return shift, None
    silences = running_total(silent.astype(np.int64))
    return shift, np.asarray(silences[ends + 2] == silences[begins])


def _mean(total: Ints, begin: Ints, end: Ints) -> Floats:
    return np.asarray((total[end] - total[begin]) / ((end - begin)[:, None] * STEPS))


def agreed(low: Floats, high: Floats, low_before: Floats, high_before: Floats) -> Floats:
    """What all ways from `before` to now agree on: the shortest, or zero where they point different ways."""
    return np.asarray(np.maximum(low - high_before, 0.0) - np.maximum(low_before - high, 0.0))


def back_and_forth(rows: Rows, window: int, step_clip: Ints) -> Floats:
    """The mean step from one row to the next less the way made: 0 for a steady climb, 1.1 for white noise of 1."""
    wide = rows.astype(np.int64)
    steps = np.minimum(np.maximum(wide[1:] - wide[:-1], -step_clip), step_clip)
    travelled = window_sums(np.abs(steps), window) - np.abs(window_sums(steps, window))
    return np.asarray(travelled / (window * STEPS))


def heard_throughout(rows: Rows, width: int) -> Mask | None:
    """Which channels spoke in all of the `width` rows that end at each row; None when every one did."""
    silent = rows == SILENT
    if not silent.any():
        return None
    return np.asarray(window_sums(silent.astype(np.int64), width) == 0)
