"""Where a chart's marks stand: at the round numbers and times that people count in."""

from __future__ import annotations

import math

from cloud.notifications.notice import Locale
from cloud.notifications.times import local

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


def time_ticks(start_ms: int, end_ms: int, locale: Locale, most: int = 5) -> tuple[list[int], str]:
    """At most `most` + 1 round local times within the span, in epoch ms, and the pattern that tells them apart."""
    span_s = max(1, (end_ms - start_ms) / 1000)
    step = next((step for step in _STEPS_S if span_s / step <= most), 86400 * math.ceil(span_s / 86400 / most)) * 1000
    offset = local(start_ms, locale).utcoffset()
    shift = round(offset.total_seconds() * 1000) if offset is not None else 0
    first = -((-start_ms - shift) // step) * step - shift
    return list(range(first, end_ms + 1, step)), "%H:%M:%S" if step < 60_000 else "%H:%M"


def value_ticks(low: float, high: float, most: int = 4) -> tuple[list[float], float]:
    """At most `most` + 1 round values strictly within `low` to `high`, and the step between them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * mark for mark in _ROUND if power * mark >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [count * step for count in range(first, last + 1)], step
