"""What the golden path may claim: told from a trace and the time alone."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from dashboard.banner import verdict_for
from dashboard.facts import Trace, fact
from dashboard.language import LANGUAGES, Words
from dashboard.story import DETECTION, STOPPED_AFTER_MS, VALIDATION, Outcome, outcome, stopped_at, total_ms, way
from tests.dashboard.plant import RECEIPT, WHOLE_WAY, anomaly, notification, step


def trace(steps: list[dict[str, Any]], **more: Any) -> Trace:
    return fact(Trace, {"correlation_id": "c1", "site": "plant-1", "device": "demo-1", "steps": steps} | more)


DELIVERED = trace(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])


def test_a_receipt_makes_it_delivered() -> None:
    assert outcome(DELIVERED, fault="bearing_wear", elapsed_ms=600) is Outcome.DELIVERED


def test_every_station_without_a_receipt_is_not_delivered() -> None:
    passed = trace(WHOLE_WAY, anomalies=[anomaly()])
    assert outcome(passed, fault="bearing_wear", elapsed_ms=600) is Outcome.RUNNING
    assert outcome(passed, fault="bearing_wear", elapsed_ms=STOPPED_AFTER_MS + 1) is Outcome.STOPPED


def test_a_delivery_without_the_other_sides_word_is_not_delivered() -> None:
    claimed = trace(WHOLE_WAY, notifications=[notification(receipt="")])
    assert outcome(claimed, fault="bearing_wear", elapsed_ms=600) is not Outcome.DELIVERED


@pytest.mark.parametrize(("delivery", "expected"), [("failed", Outcome.FAILED), ("suppressed", Outcome.SUPPRESSED)])
def test_a_notification_that_reached_nobody_is_told_as_that(delivery: str, expected: Outcome) -> None:
    told = trace(WHOLE_WAY[:-1], notifications=[notification(delivery)])
    assert outcome(told, fault="bearing_wear", elapsed_ms=600) is expected


def test_a_later_suppressed_update_does_not_take_the_delivery_back() -> None:
    both = trace(WHOLE_WAY, notifications=[notification("suppressed"), notification()])
    assert outcome(both, fault="bearing_wear", elapsed_ms=600) is Outcome.DELIVERED


def test_refused_readings_end_the_way() -> None:
    refused = trace(WHOLE_WAY[:3], rejected=[{"stage": "validation", "detail": "ts is in the future"}])
    assert outcome(refused, fault="bearing_wear", elapsed_ms=100) is Outcome.REJECTED


def test_without_a_fault_silence_after_scoring_is_the_right_end() -> None:
    healthy = trace(WHOLE_WAY[:6])
    assert outcome(healthy, fault="none", elapsed_ms=1_000) is Outcome.RUNNING
    assert outcome(healthy, fault="none", elapsed_ms=6_000) is Outcome.QUIET
    assert outcome(healthy, fault="bearing_wear", elapsed_ms=6_000) is Outcome.RUNNING


def test_where_it_stopped_is_the_last_station_that_answered() -> None:
    stations = way(trace(WHOLE_WAY[:5]), Outcome.STOPPED)
    assert stopped_at(stations) == (VALIDATION, DETECTION)
    assert [station.state for station in stations] == ["done"] * 4 + ["failed", "waiting", "waiting"]


def test_the_station_after_the_last_hop_is_the_one_that_runs() -> None:
    states = [station.state for station in way(trace(WHOLE_WAY[:3]), Outcome.RUNNING)]
    assert states == ["done", "done", "done", "running", "waiting", "waiting", "waiting"]


def test_a_broker_that_confirmed_after_the_next_agent_began_makes_no_negative_time() -> None:
    late = trace([step("device", "published", 0), step("broker", "accepted", 8), step("acquisition", "decoded", 5)])
    assert [station.hop_ms for station in way(late, Outcome.RUNNING)][:3] == [0, 8, 0]


def test_the_total_is_measured_from_the_first_hop_to_the_last() -> None:
    assert total_ms(DELIVERED) == 398


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", list(Outcome))
def test_only_a_delivery_is_green(state: Outcome, language: str) -> None:
    told = trace(
        WHOLE_WAY,
        notifications=[notification(), notification("failed", receipt="550 5.1.1 unknown")],
        rejected=[{"stage": "validation", "detail": "too hot"}],
    )
    verdict = verdict_for(told, state, Words(language, UTC))
    assert (verdict.tone == "ok") is (state is Outcome.DELIVERED)
    assert verdict.title
    assert verdict.detail


def test_the_banner_says_the_other_sides_words() -> None:
    verdict = verdict_for(DELIVERED, Outcome.DELIVERED, Words("en", UTC))
    assert RECEIPT in str(verdict.detail)
