"""Can this reading be true? One pure rule, asked at the HTTP door and by the validation agent alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from contract.errors import Reason

_YEAR_2000_MS = 946_684_800_000
# Epoch seconds of 2000 to 2100, read as milliseconds, fall into early 1970; epoch microseconds after the year 31,000.
_SECONDS = range(946_684_800, 4_102_444_800)
_MICROSECONDS = range(946_684_800_000_000, 4_102_444_800_000_000)
# A quartz clock that was set once a day is off by seconds; five minutes is a clock that was not set.
FUTURE_TOLERANCE_MS = 5 * 60 * 1000


class Metric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registered metric: its unit, and the range outside which the sensor cannot measure."""

    name: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf


class Fault(NamedTuple):
    """Why a reading cannot be true."""

    reason: Reason
    detail: str


def fault(
    measured_at_ms: int, values: Mapping[str, float], metrics: Mapping[str, Metric] | None, now_ms: int
) -> Fault | None:
    """Why this reading cannot be true, or None. `metrics` is None for a device that has not registered any yet."""
    return time_fault(measured_at_ms, now_ms) or values_fault(values, metrics)


def time_fault(measured_at_ms: int, now_ms: int) -> Fault | None:
    """Why a device cannot have measured at this time, or None."""
    if measured_at_ms in _SECONDS:
        return Fault(Reason.TIME_IN_SECONDS, f"ts {measured_at_ms} looks like seconds; send epoch milliseconds")
    if measured_at_ms in _MICROSECONDS:
        return Fault(Reason.TIME_IN_MICROSECONDS, f"ts {measured_at_ms} looks like microseconds; send milliseconds")
    if measured_at_ms < _YEAR_2000_MS:
        return Fault(Reason.TIME_BEFORE_2000, f"ts {measured_at_ms} is before 2000: the device's clock is not set")
    if measured_at_ms > now_ms + FUTURE_TOLERANCE_MS:
        ahead = (measured_at_ms - now_ms) / 1000
        return Fault(Reason.TIME_IN_FUTURE, f"ts {measured_at_ms} is {ahead:,.0f} s ahead of the server's clock")
    return None


def values_fault(values: Mapping[str, float], metrics: Mapping[str, Metric] | None) -> Fault | None:
    """Why the device cannot have measured these values, or None."""
    for name, value in values.items():
        if not math.isfinite(value):
            return Fault(Reason.NOT_FINITE, f"{name} is {value}")
        if metrics is None:
            continue
        metric = metrics.get(name)
        if metric is None:
            known = ", ".join(metrics)
            return Fault(Reason.UNKNOWN_METRIC, f"{name!r} is not registered for this device, which has: {known}")
        if not metric.low <= value <= metric.high:
            return Fault(Reason.OUT_OF_RANGE, f"{name} {value} {metric.unit} is outside {metric.low} to {metric.high}")
    return None
