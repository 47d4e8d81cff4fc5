"""How old readings are when an agent is done with them, out of what its process tells Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import msgspec
from prometheus_client.parser import text_string_to_metric_families

_AGE = "ronda_reading_age_seconds"


class Lag(msgspec.Struct, frozen=True):
    """Seconds from the measurement."""

    p50_s: float
    p95_s: float


def ages(page: str, agent: str) -> dict[float, float]:
    """Upper bound (s) → how many were at most that old, ever."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(page)
        if family.name == _AGE
        for sample in family.samples
        if sample.name == f"{_AGE}_bucket" and sample.labels["agent"] == agent
    }


def lag_between(before: Mapping[float, float], after: Mapping[float, float]) -> Lag:
    """Of those that came between two looks at one histogram."""
    grown = {bound: count - before.get(bound, 0.0) for bound, count in sorted(after.items())}
    return Lag(_quantile(grown, 0.5), _quantile(grown, 0.95))


def _quantile(counts: Mapping[float, float], share: float) -> float:
    """As Prometheus reckons it: evenly within a bucket. In the last one, which has no end: its beginning."""
    wanted = share * max(counts.values(), default=0.0)
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *counts.items()]):
        if upto >= wanted > below:
            return low if high == float("inf") else low + (high - low) * (wanted - below) / (upto - below)
    return 0.0
