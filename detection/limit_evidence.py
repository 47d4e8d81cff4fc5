"""Why an alarm of a limit was raised: what was seen against the limit, with the last minute as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.episode import Severity
from detection.explain import Explanation, Sensor
from detection.kinds import Kind
from detection.limit import Limit
from detection.limit_words import Told, crossed
from detection.rows import Floats, Ints

# The minute that the picture of an alarm shows at 1 Hz; sensors in it.
_ROWS, _DRAWN = 60, 3
_LARGEST = 1e30


class Picture:
    """The last readings (m, k) of the watched metrics, oldest first, with their times (m); NaN: silent."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = list(metrics)
        self.times: Ints = np.empty(0, dtype=np.int64)
        # Four bytes a value: it is looked at, not computed with.
        self.rows: NDArray[np.float32] = np.empty((0, len(metrics)), dtype=np.float32)

    def extended(self, rows: Floats, times: Ints) -> Picture:
        """The same with rows that follow."""
        later = Picture(self.metrics)
        later.times = np.concatenate((self.times, times[-_ROWS:]))[-_ROWS:]
        later.rows = np.concatenate((self.rows, rows[-_ROWS:].astype(np.float32)))[-_ROWS:]
        return later

    def column(self, metric: str) -> list[float]:
        """A metric's readings."""
        return [_short(value) for value in self.rows[:, self.metrics.index(metric)].tolist()]


def bounded(rows: Floats) -> Floats:
    """The rows with what a broken sensor makes up cut to numbers that can be told; NaN stays."""
    return np.minimum(np.maximum(rows, -_LARGEST), _LARGEST)


def explanation(since: Mapping[Limit, int], picture: Picture, told: Told) -> Explanation:
    """The crossed limits (each with since when, epoch ms), critical ones first, then by how far beyond.

    The picture ends with the deciding row; a sensor that is silent there counts with its last reading.
    """
    seen = {limit: _last(picture.column(limit.metric), limit) for limit in since}
    order = sorted(since, key=lambda limit: (limit.severity is not Severity.CRITICAL, -limit.excess(seen[limit])))
    worst = {limit.metric: limit for limit in reversed(order)}
    named = list(dict.fromkeys(limit.metric for limit in order))
    total = sum(_weight(worst[metric], seen[worst[metric]]) for metric in named)
    lead = order[0]
    return Explanation(
        kind=Kind.LIMIT,
        sensors=[_sensor(worst[metric], seen[worst[metric]], total, picture, told) for metric in named],
        window_ms=picture.times.tolist(),
        window={
            metric: [None if math.isnan(value) else value for value in picture.column(metric)]
            for metric in named[:_DRAWN]
        },
        since_ms=since[lead],
        sentence=crossed(lead, seen[lead], named[1:], since_ms=since[lead], told=told),
    )


def _last(column: Sequence[float], limit: Limit) -> float:
    return next((value for value in reversed(column) if not math.isnan(value)), limit.bound(0.0))


def _weight(limit: Limit, value: float) -> float:
    return 1 + max(limit.excess(value), 0.0)


def _sensor(limit: Limit, value: float, total: float, picture: Picture, told: Told) -> Sensor:
    """What was seen against the limit; where one side has none, the range ends at zero or at what was ever seen."""
    bound = limit.bound(value)
    known = [0.0, bound, *(each for each in picture.column(limit.metric) if not math.isnan(each))]
    return Sensor(
        name=limit.metric,
        unit=told.unit(limit.metric),
        share=round(_weight(limit, value) / total, 4),
        seen=value,
        expected=bound,
        expected_low=min(known) if limit.low is None else limit.low,
        expected_high=max(known) if limit.high is None else limit.high,
    )


def _short(value: float) -> float:
    """Five digits are more than anybody can see."""
    return float(f"{value:.5g}")
