"""From times and values to places on a chart, and the round numbers that stand at its sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple

# The inside of every chart, in its own units: fine enough for a wide screen, whole numbers keep the page small.
WIDTH, HEIGHT = 2000, 400

_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(_SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)
# More labels than this do not fit side by side on a phone.
_MOST_TICKS = 5
# A label closer to the edge than this share would be cut.
_MARGIN = 0.04


class Span(NamedTuple):
    """The time that a chart shows, both ends included."""

    from_ms: int
    to_ms: int

    def share(self, at_ms: float) -> float:
        """Where a time stands, 0 to 1."""
        return min(1.0, max(0.0, (at_ms - self.from_ms) / max(1, self.to_ms - self.from_ms)))


class Range(NamedTuple):
    """The values that a chart shows. `bent`: by the logarithm of 1 + value, for a score that may be 1 or 100."""

    low: float
    high: float
    bent: bool = False

    def share(self, value: float) -> float:
        """How high a value stands, 0 to 1 and beyond."""
        low, high, at = (math.log1p(each) if self.bent else each for each in (self.low, self.high, value))
        return (at - low) / (high - low)


def score_range(highest: float) -> Range:
    """From 0 to a little above the limit, or above the highest score."""
    return Range(0.0, max(1.6, 1.1 * highest), bent=True)


def value_range(low: float, high: float) -> Range:
    """Room around what is shown; some around a single value too."""
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return Range(low - room, high + room)


def score_ticks(within: Range) -> list[float]:
    """The limit, and round scores above it that do not stand too close to each other."""
    ticks = [1.0]
    for exponent in range(6):
        for lead in (2, 5, 10):
            tick = float(lead * 10**exponent)
            if within.share(ticks[-1]) + 0.13 <= within.share(tick) <= 0.97:
                ticks.append(tick)
    return ticks


def value_ticks(within: Range) -> tuple[list[float], int]:
    """Two to four round values inside, and how many decimals they need."""
    raw = (within.high - within.low) / 4
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * lead for lead in (1, 2, 2.5, 5, 10) if size * lead >= raw)
    first = math.ceil((within.low + 0.04 * (within.high - within.low)) / step)
    last = math.floor((within.high - 0.04 * (within.high - within.low)) / step)
    return [step * n for n in range(first, last + 1)], _decimals(step)


def _decimals(step: float) -> int:
    """How many decimals tell neighbouring ticks apart."""
    return next(places for places in range(20) if math.isclose(round(step, places), step, rel_tol=1e-6))


def time_ticks(span: Span, zone: tzinfo) -> tuple[list[int], int]:
    """Round times inside, by the clock of `zone`, and the step between them."""
    step = next((step for step in _STEPS if (span.to_ms - span.from_ms) / step <= _MOST_TICKS), _STEPS[-1])
    offset = datetime.fromtimestamp(span.from_ms / 1000, zone).utcoffset()
    ahead = int(offset.total_seconds() * 1000) if offset else 0
    first = -(-(span.from_ms + ahead) // step)
    ticks: Sequence[int] = [step * n - ahead for n in range(first, (span.to_ms + ahead) // step + 1)]
    return [tick for tick in ticks if _MARGIN <= span.share(tick) <= 1 - _MARGIN], step
