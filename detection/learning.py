"""The limits of the three questions, from healthy rows: how wide each channel may roam, jump and tremble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from detection.errors import FitError
from detection.questions import JUMP_ROWS, LEAST_JUMP_ROWS, back_and_forth, distance, jumps, whitening
from detection.rows import SILENT, STEPS, Floats, Ints, Rows, held, window_sums
from detection.settings import Settings

# White noise leaves 1/40 of its variance in the mean of 40 rows, temperatures about 0.8, all else on a pump at most
# 0.13; what has more than 0.1 drifts, and its limit widens with the square of the excess. Without it 31 % of healthy
# rows of the SKAB benchmark alarm.
_DRIFT_BLOCK, _DRIFT_KNEE, _DRIFT_WIDENING = 40, 0.1, 12.0
# Correlations learned from minutes are partly luck: trust 70 % of them. Also keeps collinear channels apart.
_CORRELATION_KEPT = 0.7
# Fewer windows than this (they overlap) say nothing about a largest one.
_MIN_WINDOWS = 60
# A window's mean that moves less than a tenth of white noise's variance is a coincidence of the recording.
_LEAST_SHARE_OF_NOISE = 0.1
# A jump below a fiftieth of a healthy deviation is no jump, however smooth the channel was.
_LEAST_JUMP = 0.02


def stretches(rows: Rows, times: Ints, gap_ms: int, window: int) -> list[Rows]:
    """Rows (n, k) in steps, split at holes in time and where a channel is silent for longer than a window."""
    channels = rows.shape[1]
    silence, never = np.full(channels, SILENT, dtype=np.int32), np.full(channels, window + 1, dtype=np.int64)
    parts: list[Rows] = []
    for piece in np.split(rows, np.flatnonzero(np.diff(times) > gap_ms) + 1):
        filled, _ = held(piece, silence, never, window)
        spoke = (filled != SILENT).all(axis=1)
        edges = np.flatnonzero(np.diff(spoke)) + 1
        parts += [part for part, on in zip(np.split(filled, edges), np.split(spoke, edges), strict=True) if on.all()]
    return parts


def drift(parts: Sequence[Rows]) -> Floats:
    """Per channel (k): variance of 40-row means over that of rows; 0.025 for white noise, up to 1 for a drift."""
    blocks = [block.mean(axis=0) / STEPS for part in parts for block in _blocks(part)]
    if len(blocks) < 2:
        return np.zeros(parts[0].shape[1])
    spread = np.concatenate(parts).std(axis=0) / STEPS
    return np.asarray(np.minimum(np.var(blocks, axis=0) / np.maximum(spread, 1e-9) ** 2, 1.0))


def level_limit(parts: Sequence[Rows], drifts: Floats, settings: Settings) -> tuple[Floats, float]:
    """The ellipsoid (k, k) that window means stay in, times the sensitivity, and their largest distance before that.

    Raises: FitError when the rows hold too few whole windows.
    """
    width = settings.window
    means = [window_sums(part.astype(np.int64), width) / (width * STEPS) for part in parts if len(part) >= width]
    if sum(map(len, means)) < _MIN_WINDOWS:
        raise FitError(
            f"the rows are too broken up: fewer than {_MIN_WINDOWS} windows of {width} rows without a hole, "
            "with every channel speaking"
        )
    shifts = np.concatenate(means)
    widening = 1 + _DRIFT_WIDENING * np.maximum(drifts - _DRIFT_KNEE, 0) ** 2
    return _scaled_limit(shifts, widening, _LEAST_SHARE_OF_NOISE / width, settings.sensitivity)


def jump_limit(parts: Sequence[Rows], drifts: Floats, settings: Settings) -> tuple[list[int], Floats]:
    """The channels that drift in health and the ellipsoid that their jumps stay in; none of too few rows."""
    jumpers = np.flatnonzero(drifts > _DRIFT_KNEE)
    whole = [part[:, jumpers] for part in parts if len(part) > settings.window + JUMP_ROWS + 1]
    shifts = [jumps(part, settings.window)[0][JUMP_ROWS - LEAST_JUMP_ROWS :] for part in whole]
    if not jumpers.size or sum(map(len, shifts)) < _MIN_WINDOWS:
        return [], np.empty((0, 0))
    limit, _ = _scaled_limit(np.concatenate(shifts), np.ones(len(jumpers)), _LEAST_JUMP**2, settings.sensitivity)
    return jumpers.tolist(), limit


def rough_limit(parts: Sequence[Rows], settings: Settings) -> tuple[Floats, Floats]:
    """Per channel (k) how much it usually goes back and forth, and the limit: the largest × sensitivity.

    A limit is at least the sensor's resolution times the sensitivity: a value that flickers between two digits is fine.
    """
    unclipped = np.full(parts[0].shape[1], np.iinfo(np.int64).max)
    means = np.concatenate([back_and_forth(p, settings.window, unclipped) for p in parts if len(p) > settings.window])
    steps = np.concatenate([np.abs(np.diff(part.astype(np.int64), axis=0)) for part in parts])
    resolution = np.where(steps > 0, steps, np.iinfo(np.int64).max).min(axis=0) / STEPS
    return means.mean(axis=0), settings.sensitivity * np.maximum(means.max(axis=0), resolution)


def _scaled_limit(shifts: Floats, widening: Floats, floor: float, sensitivity: float) -> tuple[Floats, float]:
    moment = shifts.T @ shifts / len(shifts) * np.outer(widening, widening)
    own = np.diag(np.maximum(np.diag(moment), floor))
    limit = _CORRELATION_KEPT * (moment - np.diag(np.diag(moment))) + own
    largest = float(distance(shifts, limit, whitening(limit)).max())
    return limit * (sensitivity * largest) ** 2, largest


def _blocks(part: Rows) -> Iterator[Rows]:
    return (part[start : start + _DRIFT_BLOCK] for start in range(0, len(part) - _DRIFT_BLOCK + 1, _DRIFT_BLOCK))
