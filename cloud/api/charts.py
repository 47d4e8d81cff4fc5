"""A device's readings as columns for a chart, thinned so that a spike of one sample survives."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cloud.storage.reading_blocks import ReadingBlock
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
    """All metrics of a device; `rows` were looked at, `whole` says that the span had no more."""

    site: str
    device: str
    rows: int
    whole: bool
    series: list[Series]


def chart(block: ReadingBlock, metrics: Sequence[Metric], points: int) -> Chart:
    """Thin every metric to at most `points`."""
    units = {metric.name: metric.unit for metric in metrics}
    times = np.array(block.measured_at_ms, dtype=np.int64)
    series = [
        _series(name, units.get(name, ""), times, column, points)
        for name, column in zip(block.metrics, block.values, strict=True)
    ]
    return Chart(site=block.site, device=block.device, rows=len(block), whole=len(block) < MOST_ROWS, series=series)


def _series(name: str, unit: str, times: Times, column: Sequence[float | None], points: int) -> Series:
    values = np.array(column, dtype=np.float64)
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
