"""A line of up to millions of readings as a short path on which every spike survives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from detection.rows import Floats, Ints
from ronda.trial.page.scale import HEIGHT, WIDTH, Range, Span

# Beyond this many readings only the lowest and the highest of each of so many slices are drawn.
_SLICES = 330


def path(times: Ints, values: Floats, span: Span, within: Range, gap_ms: int, slices: int = _SLICES) -> str:
    """The `d` of a path: readings (n) in the order of time.

    It breaks where a value is missing, and at a hole in the times wider than `gap_ms`.
    """
    inside = slice(np.searchsorted(times, span.from_ms), np.searchsorted(times, span.to_ms, side="right"))
    times, values = times[inside], values[inside]
    if not len(times):
        return ""
    kept = _kept(times, values, span, slices)
    holes = np.cumsum(np.diff(times, prepend=times[0]) > gap_ms)[kept]
    times, values = times[kept], values[kept]
    x = np.rint(WIDTH * (times - span.from_ms) / max(1, span.to_ms - span.from_ms)).astype(int)
    y = np.rint(HEIGHT * (1 - _heights(values, within)))
    y = np.clip(np.nan_to_num(y), -HEIGHT, 2 * HEIGHT).astype(int)
    silent = np.isnan(values)
    marks = np.where(np.concatenate(([True], (np.diff(holes) > 0) | silent[:-1])), "M", "L")
    return "".join(f"{marks[at]}{x[at]} {y[at]}" for at in np.flatnonzero(~silent).tolist())


def _heights(values: Floats, within: Range) -> Floats:
    low, high, at = (np.log1p(each) if within.bent else np.asarray(each) for each in (within.low, within.high, values))
    return np.asarray((at - low) / (high - low))


def _kept(times: Ints, values: Floats, span: Span, slices: int) -> Ints:
    """Which readings are drawn: all, or of many the lowest and the highest of each slice, in their own order."""
    if len(times) <= 2 * slices:
        return np.arange(len(times), dtype=np.int64)
    places = (times - span.from_ms) * slices // (max(1, span.to_ms - span.from_ms) + 1)
    firsts = np.flatnonzero(np.diff(places, prepend=-1)).tolist()
    ends = {at for first, after in pairwise([*firsts, len(times)]) for at in _ends(values, first, after)}
    return np.array(sorted(ends), dtype=np.int64)


def _ends(values: Floats, first: int, after: int) -> tuple[int, ...]:
    part = values[first:after]
    if np.isnan(part).all():
        return (first,)
    return first + int(np.nanargmin(part)), first + int(np.nanargmax(part))
