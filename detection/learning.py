"""The limits of the three questions, from healthy rows: how wide each channel may roam, jump and tremble."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.ellipsoid import distance, whitening
from detection.model import Normal
from detection.questions import JUMP_ROWS, LEAST_JUMP_ROWS, Questions, back_and_forth, jumps
from detection.rows import SILENT, STEPS, Floats, Ints, Rows, held, window_sums
from detection.settings import Settings

# White noise leaves 1/40 of its variance in the mean of 40 rows, temperatures about 0.8, all else on a pump at most
# 0.13; what has more than 0.1 drifts, and its limit widens with the square of the excess. Without it 31 % of healthy
# rows of the SKAB benchmark alarm.
_DRIFT_BLOCK, _DRIFT_KNEE, _DRIFT_WIDENING = 40, 0.1, 12.0
# 400 rows make ten blocks of 40. Learned from days, a load that follows the day is no drift any more, and its limit not
# so wide that a valve may close behind it.
_DRIFT_BLOCKS = 10
# The sensitivity is that for half an hour at 1 Hz, of which little can be known. What exceeds it falls with the root of
# what was learned: after a day healthy running seldom surprises by more than the margin.
_SENSITIVE_ROWS = 1800
# Up to here the level's limit is widened by less than half, and the level sees a jump itself.
_JUMP_KNEE = 0.3
# Correlations learned from minutes are partly luck: trust 70 % of them. Also keeps collinear channels apart.
_CORRELATION_KEPT = 0.7
# Fewer windows than this (they overlap) say nothing about a largest one.
MIN_WINDOWS = 60
# A machine whose last third is this many times beyond its limit is not healthy, or has changed: it stays young, and its
# limits stop growing.
_WIDEST = 2.0
# A window's mean that moves less than a tenth of white noise's variance is a coincidence of the recording.
_LEAST_SHARE_OF_NOISE = 0.1
# A jump below a fiftieth of a healthy deviation is no jump, however smooth the channel was.
_LEAST_JUMP = 0.02


class Point(NamedTuple):
    """What is normal at one operating point, its largest healthy distance, and how many times that the limit is."""

    normal: Normal
    largest: float
    factor: float


class Factors(NamedTuple):
    """By how much each question's largest healthy answer is multiplied to give its limit; roughness per channel (k)."""

    level: float
    jump: float
    roughness: Floats


class Drifts(NamedTuple):
    """How much each channel (k) wanders in health: in all rows, in the first two thirds alone, and by its nature."""

    whole: Floats
    first: Floats
    nature: Floats


def shared_drifts(points: Sequence[Sequence[Rows]], nature: Floats) -> Drifts | None:
    """The largest drift at any operating point; None where no point has a row.

    The grid and the air of the hall wander whatever the speed: what one point has seen, another has yet to see.
    """
    known = [parts for parts in points if parts]
    if not known:
        return None
    whole, first = ([drift(each) for each in some] for some in (known, [_thirds(parts)[0] for parts in known]))
    return Drifts(np.max(whole, axis=0), np.max(first, axis=0), nature)


def point(parts: Sequence[Rows], settings: Settings, drifts: Drifts) -> Point | None:
    """Learn one operating point from its stretches (m, k in steps); None where they are too few to say anything.

    The limits are `sensitivity` times the largest healthy answer, or more where the machine itself shows that it needs
    more: without labels, the first two thirds foretell the last third, and what that exceeds counts with a `margin`.
    """
    if sum(max(len(part) - settings.window + 1, 0) for part in parts) < MIN_WINDOWS:
        return None
    centre = np.concatenate(parts).mean(axis=0) / STEPS
    sensitivity = _sensitivity(sum(map(len, parts)), settings)
    plain = Factors(sensitivity, sensitivity, np.full(len(centre), sensitivity))
    factors = _foretold(parts, settings, plain, drifts)
    normal, largest = _normal(parts, centre, settings.window, factors, drifts)
    return Point(normal, largest, factors.level)


def _normal(
    parts: Sequence[Rows], centre: Floats, window: int, factors: Factors, drifts: Drifts
) -> tuple[Normal, float]:
    at = np.rint(centre * STEPS).astype(np.int64)
    limit, largest = level_limit([part - at for part in parts], drifts.whole, window, factors.level)
    # Beside what the others' limits are, not at their expense.
    unseen = np.maximum(_widening(drifts.nature) / _widening(drifts.whole), 1.0)
    limit *= np.outer(unseen, unseen)
    jump_channels, jumping = jump_limit(parts, drifts.whole, window, factors.jump)
    rough_normal, rough = rough_limit(parts, window, factors.roughness)
    normal = Normal(
        centre=centre.tolist(),
        drift=drifts.whole.tolist(),
        level_limit=limit.tolist(),
        jump_channels=jump_channels,
        jump_limit=jumping.tolist(),
        rough_normal=rough_normal.tolist(),
        rough_limit=rough.tolist(),
    )
    return normal, largest


def _sensitivity(rows: int, settings: Settings) -> float:
    """How many times the largest healthy answer the limit is, at least, after so many rows."""
    growth = math.sqrt(max(rows / _SENSITIVE_ROWS, 1.0))
    return max(1 + (settings.sensitivity - 1) / growth, min(settings.sensitivity, settings.margin))


def _foretold(parts: Sequence[Rows], settings: Settings, plain: Factors, drifts: Drifts) -> Factors:
    """Learn from the first two thirds; how many times their largest answers does the last third reach?"""
    first, last = _thirds(parts)
    if not settings.margin or sum(max(len(part) - settings.window + 1, 0) for part in first) < MIN_WINDOWS:
        return plain
    centre = np.concatenate(first).mean(axis=0) / STEPS
    ones = Factors(1.0, 1.0, np.ones(len(centre)))
    known = Drifts(drifts.first, drifts.first, np.zeros_like(drifts.nature))
    questions = Questions(_normal(first, centre, settings.window, ones, known)[0], settings.window)
    at = np.rint(centre * STEPS).astype(np.int64)
    long = [part for part in last if len(part) > questions.history]
    if not long:
        return plain
    sensitivity = plain.level
    widest = _WIDEST * sensitivity

    def factor(reached: float) -> float:
        return float(min(max(sensitivity, settings.margin * reached), widest))

    level = max(float(questions.level(part, at).max()) for part in long)
    jump = max(float(questions.jump(part).max()) for part in long) if questions.jump_channels.size else 0.0
    rough = np.max([questions.rough_steps(part).max(axis=0) for part in long], axis=0) / questions.rough_limit
    return Factors(factor(level), factor(jump), np.array([factor(each) for each in rough]))


def _thirds(parts: Sequence[Rows]) -> tuple[list[Rows], list[Rows]]:
    """The first two thirds of all rows, and the last."""
    cut, first, last = sum(map(len, parts)) * 2 // 3, [], []
    for part in parts:
        here = min(max(cut, 0), len(part))
        first += [part[:here]] if here else []
        last += [part[here:]] if here < len(part) else []
        cut -= len(part)
    return first, last


def stretches(rows: Rows, times: Ints, gap_ms: int, window: int, wanted: NDArray[np.bool_]) -> list[Rows]:
    """The `wanted` of n rows (n, k) in steps, split where others are, at holes in time and at long silences."""
    pieces = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(wanted)) + 1)
    return [
        part
        for piece in pieces
        if len(piece) and wanted[piece[0]]
        for part in _unbroken(rows[piece], times[piece], gap_ms, window)
    ]


def _unbroken(rows: Rows, times: Ints, gap_ms: int, window: int) -> list[Rows]:
    """Split at holes in time and where a channel is silent for longer than a window."""
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
    """Per channel (k): variance of block means over that of rows; 0.025 for white noise, up to 1 for a drift.

    Blocks of 40 rows, or of a tenth of what was learned from: what comes and goes ten times has been seen.
    """
    length = max(_DRIFT_BLOCK, sum(map(len, parts)) // _DRIFT_BLOCKS)
    blocks = [block.mean(axis=0) / STEPS for part in parts for block in _blocks(part, length)]
    if len(blocks) < 2:
        return np.zeros(parts[0].shape[1])
    spread = np.concatenate(parts).std(axis=0) / STEPS
    return np.asarray(np.minimum(np.var(blocks, axis=0) / np.maximum(spread, 1e-9) ** 2, 1.0))


def level_limit(parts: Sequence[Rows], drifts: Floats, width: int, factor: float) -> tuple[Floats, float]:
    """The ellipsoid (k, k) that window means stay in, times `factor`, and their largest distance before that."""
    means = [window_sums(part.astype(np.int64), width) / (width * STEPS) for part in parts if len(part) >= width]
    shifts = np.concatenate(means)
    return _scaled_limit(shifts, _widening(drifts), _LEAST_SHARE_OF_NOISE / width, factor)


def _widening(drifts: Floats) -> Floats:
    return np.asarray(1 + _DRIFT_WIDENING * np.maximum(drifts - _DRIFT_KNEE, 0) ** 2)


def jump_limit(parts: Sequence[Rows], drifts: Floats, width: int, factor: float) -> tuple[list[int], Floats]:
    """The channels that drift in health and the ellipsoid that their jumps stay in; none of too few rows."""
    jumpers = np.flatnonzero(drifts > _JUMP_KNEE)
    whole = [part[:, jumpers] for part in parts if len(part) > 2 * width + JUMP_ROWS + 1]
    shifts = [jumps(part, width)[0][width + JUMP_ROWS - LEAST_JUMP_ROWS :] for part in whole]
    if not jumpers.size or sum(map(len, shifts)) < MIN_WINDOWS:
        return [], np.empty((0, 0))
    limit, _ = _scaled_limit(np.concatenate(shifts), np.ones(len(jumpers)), _LEAST_JUMP**2, factor)
    return jumpers.tolist(), limit


def rough_limit(parts: Sequence[Rows], width: int, factor: Floats) -> tuple[Floats, Floats]:
    """Per channel (k) how much it usually goes back and forth, and the limit: the largest times `factor` (k).

    A limit is at least the sensor's resolution times the factor: a value that flickers between two digits is fine.
    """
    unclipped = np.full(parts[0].shape[1], np.iinfo(np.int64).max)
    means = np.concatenate([back_and_forth(p, width, unclipped) for p in parts if len(p) > width])
    steps = np.concatenate([np.abs(np.diff(part.astype(np.int64), axis=0)) for part in parts])
    resolution = np.where(steps > 0, steps, np.iinfo(np.int64).max).min(axis=0) / STEPS
    return means.mean(axis=0), factor * np.maximum(means.max(axis=0), resolution)


def _scaled_limit(shifts: Floats, widening: Floats, floor: float, factor: float) -> tuple[Floats, float]:
    moment = shifts.T @ shifts / len(shifts) * np.outer(widening, widening)
    own = np.diag(np.maximum(np.diag(moment), floor))
    limit = _CORRELATION_KEPT * (moment - np.diag(np.diag(moment))) + own
    largest = float(distance(shifts, whitening(limit)).max())
    return limit * (factor * largest) ** 2, largest


def _blocks(part: Rows, length: int) -> Iterator[Rows]:
    """A shorter visit is a block of its own, down to 40 rows: what differs between visits drifts."""
    length = min(length, max(len(part), _DRIFT_BLOCK))
    return (part[start : start + length] for start in range(0, len(part) - length + 1, length))
