"""A device's readings as columns for a chart, thinned so that a spike of one sample survives."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cloud.storage.resolution import Drawn, Resolution, Rolled
from contract.plausibility import Metric

Times = NDArray[np.int64]
Values = NDArray[np.float64]

# A screen has no more columns of pixels to show.
DEFAULT_POINTS = 2000
# A day of one reading a second; about 10 MB per ten metrics while it is thinned.
MOST_ROWS = 100_000


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: n times and n values, oldest first."""

    name: str
    unit: str
    measured_at_ms: list[int]
    values: list[float]


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics of a device; `rows` readings are in it, `whole` says that the span had no more.

    `resolution`: single readings, or lowest and highest values of minutes or hours.
    """

    site: str
    device: str
    rows: int
    whole: bool
    series: list[Series]
    resolution: Resolution


def chart(drawn: Drawn, metrics: Sequence[Metric], points: int) -> Chart:
    """Thin every metric to at most `points`."""
    units = {metric.name: metric.unit for metric in metrics}
    block, past = drawn.block, drawn.rolled
    times = np.array(block.measured_at_ms, dtype=np.int64)
    series = []
    for at, (name, column) in enumerate(zip(block.metrics, block.values, strict=True)):
        seen_at, seen = times, np.array(column, dtype=np.float64)
        if past is not None:
            before_at, before = _extremes(past, at, drawn.resolution.step_ms)
            seen_at, seen = np.concatenate((before_at, seen_at)), np.concatenate((before, seen))
        series.append(_series(name, units.get(name, ""), seen_at, seen, points))
    return Chart(
        site=block.site,
        device=block.device,
        rows=len(block) + (past.readings if past is not None else 0),
        whole=drawn.whole,
        series=series,
        resolution=drawn.resolution,
    )


def _extremes(past: Rolled, at: int, step_ms: int) -> tuple[Times, Values]:
    """The lowest value of each stretch at a quarter of it and the highest at three quarters; what is equal once."""
    low, high = past.lows[:, at], past.highs[:, at]
    times = np.stack((past.from_ms + step_ms // 4, past.from_ms + 3 * step_ms // 4), axis=1)
    values = np.stack((low, np.where(low == high, np.nan, high)), axis=1)
    return times.ravel(), values.ravel()


def _series(name: str, unit: str, times: Times, values: Values, points: int) -> Series:
    measured = np.isfinite(values)
    seen_at, seen = times[measured], values[measured]
    if seen.size > points:
        kept = _thinned(seen_at, seen, points)
        seen_at, seen = seen_at[kept], seen[kept]
    return Series(name=name, unit=unit, measured_at_ms=seen_at.tolist(), values=seen.tolist())


def _thinned(times: Times, values: Values, points: int) -> NDArray[np.uint64]:
    """MinMaxLTTB (Van Der Donckt et al., 2023): what the eye would see of all points."""
    from tsdownsample import MinMaxLTTBDownsampler

    downsampler = MinMaxLTTBDownsampler()  # type: ignore[no-untyped-call]  # untyped there
    return np.asarray(downsampler.downsample(times, values, n_out=points))
