"""The age of readings between two looks at one histogram, as Prometheus would reckon it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.lag import ages, lag_between
from ronda.metrics.agents import AgentMetrics


def page(*seconds: float, agent: str = "historian") -> str:
    registry = CollectorRegistry()
    age = AgentMetrics(registry).age.labels(agent)
    for each in seconds:
        age.observe(each)
    return generate_latest(registry).decode()


def test_only_what_came_in_between_counts():
    before, after = ages(page(20.0), "historian"), ages(page(20.0, 0.07, 0.07), "historian")
    lag = lag_between(before, after)
    assert 0.05 < lag.p50_s <= lag.p95_s <= 0.1


def test_another_agents_readings_are_left_out():
    assert ages(page(1.0, agent="validation"), "historian") == {}


def test_what_is_older_than_the_last_bound_is_told_as_the_bound():
    assert lag_between({}, ages(page(1e6), "historian")).p95_s == 28_800


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_nothing_at_all_has_no_lag(share: float) -> None:
    lag = lag_between({}, {})
    assert {0.5: lag.p50_s, 0.95: lag.p95_s}[share] == 0.0
