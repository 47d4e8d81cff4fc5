"""Three questions about a window of rows: is it elsewhere, did it jump, is it rougher? Each answer 1 is the limit.

Level is a Hotelling T² of the window mean: one number for all channels together, so that a joint shift counts. A
channel that drifts in health has a wide limit there, so jump asks whether it moved faster than it ever did. Roughness
sees what leaves the mean alone: cavitation, a loose contact. Cost: about 2 µs a row in blocks of 30, at 8 channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.model import Model
from detection.rows import SILENT, STEPS, Floats, Ints, Rows, middle_of_three, running_total, window_sums

Mask = NDArray[np.bool_]

# A jump is measured against the minute (at 1 Hz) before the window: long enough to be quiet, short enough to
# forget drift.
JUMP_ROWS = 60
# After a hole ten rows before the window must do: their mean is noisier, by less than the sensitivity leaves room for.
LEAST_JUMP_ROWS = 10
# One wild reading must not alarm: a row counts in the window's mean with at most half of what reaches the limit, and a
# step from row to row with a quarter (a wild reading makes two of them).
_ROW_SHARE, _STEP_SHARE = 0.5, 0.25


class Questions:
    """A model made ready to be asked. `baseline` (k, steps) is the centre in use, which follows healthy running."""

    def __init__(self, model: Model) -> None:
        self.window = model.settings.window
        self.history = self.window + JUMP_ROWS + 1
        self.jump_needs = self.window + LEAST_JUMP_ROWS + 1
        self.level_limit = np.asarray(model.level_limit)
        self.jump_channels = np.asarray(model.jump_channels, dtype=np.intp)
        self.jump_limit = np.asarray(model.jump_limit).reshape(len(model.jump_channels), len(model.jump_channels))
        self.rough_normal, self.rough_limit = np.asarray(model.rough_normal), np.asarray(model.rough_limit)
        self.level_root = whitening(self.level_limit)
        self._jump_root = whitening(self.jump_limit)
        # How far one channel alone must move for the limit, in healthy deviations.
        self.reach = 1 / np.sqrt((self.level_root**2).sum(axis=0))
        self._row_clip = np.rint(_ROW_SHARE * self.window * self.reach * STEPS).astype(np.int64)
        self._step_clip = np.rint(_STEP_SHARE * self.window * self.rough_limit * STEPS).astype(np.int64)

    def scores(self, rows: Rows, count: int, fresh: int, centres: Sequence[Ints]) -> Floats:
        """The answers' maximum for each of the last `count` of m rows, NaN where a window is not full or all is silent.

        `fresh` of the rows before those `count` follow each other without a hole; the level is judged against the
        nearest of the accepted `centres`.
        """
        rows = rows[max(0, len(rows) - count - fresh) :]
        out = np.full(count, np.nan)
        if len(rows) >= self.window:
            near = rows[-(count + self.window - 1) :]
            levels = [self.level(near, centre) for centre in centres]
            _keep_larger(out, levels[0] if len(levels) == 1 else np.minimum.reduce(levels))
            judged = ~np.isnan(out)
            if len(rows) > self.window:
                _keep_larger(out, self.roughness(rows[-(count + self.window) :]))
            if len(rows) > self.jump_needs and self.jump_channels.size:
                _keep_larger(out, self.jump(rows[-(count + self.history) :])[-count:])
            out[~judged] = np.nan
        return out

    def level(self, rows: Rows, baseline: Ints) -> Floats:
        """Scores of the last m - window + 1 of m rows."""
        shift, heard = self.level_shift(rows, baseline)
        return distance(shift, self.level_limit, self.level_root, heard)

    def level_shift(self, rows: Rows, baseline: Ints) -> tuple[Floats, Mask | None]:
        """The window's mean against the baseline (s, k) in healthy deviations; a mask where a channel was silent."""
        away = np.minimum(np.maximum(rows - baseline, -self._row_clip), self._row_clip)
        return window_sums(away, self.window) / (self.window * STEPS), heard_throughout(rows, self.window)

    def jump(self, rows: Rows) -> Floats:
        """Scores of the last m - jump_needs of m rows, for a machine with drifting channels."""
        shift, heard = self.jump_shift(rows)
        return distance(shift, self.jump_limit, self._jump_root, heard)

    def jump_shift(self, rows: Rows) -> tuple[Floats, Mask | None]:
        """The window's mean against the mean of the minute before it (s, drifting channels)."""
        return jumps(rows[:, self.jump_channels], self.window)

    def roughness(self, rows: Rows) -> Floats:
        """Scores of the last m - window of m rows."""
        return np.asarray((self.rough_steps(rows) / self.rough_limit).max(axis=1))

    def rough_steps(self, rows: Rows) -> Floats:
        """How much each channel goes back and forth over the window (s, k), in healthy deviations; 0 where silent."""
        means = back_and_forth(rows, self.window, self._step_clip)
        heard = heard_throughout(rows, self.window + 1)
        return means if heard is None else np.where(heard, means, 0.0)


def _keep_larger(out: Floats, answers: Floats) -> None:
    """Raise the last rows of `out` to `answers` where those are larger."""
    if len(answers):
        tail = out[-len(answers) :]
        np.fmax(tail, answers, out=tail)


def jumps(rows: Rows, window: int) -> tuple[Floats, Mask | None]:
    """The window's mean against that of the minute before it (s, k), in healthy deviations; robust to single wild rows.

    Of m rows the last m - window - LEAST_JUMP_ROWS - 1 have an answer, the first of them against less than a minute.
    The mask says which channels spoke throughout, None when every one did.
    """
    calm = middle_of_three(rows).astype(np.int64)
    ends = np.arange(window + LEAST_JUMP_ROWS, len(calm) + 1)
    turns = ends - window
    begins = np.maximum(turns - JUMP_ROWS, 0)
    total = running_total(calm)
    now = (total[ends] - total[turns]) / (window * STEPS)
    before = (total[turns] - total[begins]) / ((turns - begins)[:, None] * STEPS)
    silent = rows == SILENT
    if not silent.any():
        return now - before, None
    silences = running_total(silent.astype(np.int64))
    return now - before, np.asarray(silences[ends + 2] == silences[begins])


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


def whitening(limit: Floats) -> Floats:
    """The matrix that turns a shift into one whose length is its distance under `limit`."""
    return np.linalg.inv(np.linalg.cholesky(limit)) if limit.size else limit


def distance(shift: Floats, limit: Floats, root: Floats, heard: Mask | None = None) -> Floats:
    """Mahalanobis distance of each row (s, k); a silent channel takes no part.

    Multiplied and summed along the last axis on purpose: BLAS rounds differently for one row and for many.
    """
    if heard is None:
        white = (shift[:, None, :] * root).sum(axis=-1)
        return np.asarray(np.sqrt((white * white).sum(axis=-1)))
    out = np.full(len(shift), np.nan)
    for mask in np.unique(heard, axis=0):
        if mask.any():
            same = (heard == mask).all(axis=1)
            part = np.ascontiguousarray(shift[same][:, mask])
            out[same] = distance(part, limit, whitening(limit[np.ix_(mask, mask)]))
    return out
