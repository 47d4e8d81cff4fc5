"""What the golden path may claim: told from a trace and the time alone."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from dashboard.banner import verdict_for
from dashboard.facts import Trace, fact
from dashboard.language import LANGUAGES, Words
from dashboard.story import (
    DETECTION,
    LOOK_ON_MS,
    OTHER_CHANNEL_MS,
    QUIET_AFTER_MS,
    STOPPED_AFTER_MS,
    VALIDATION,
    Outcome,
    is_over,
    outcome,
    stopped_at,
    total_ms,
    way,
)
from tests.dashboard.plant import NOW_MS, RECEIPT, WHOLE_WAY, anomaly, notification, step


def trace(steps: list[dict[str, Any]], **more: Any) -> Trace:
    return fact(Trace, {"correlation_id": "c1", "site": "plant-1", "device": "demo-1", "steps": steps} | more)


def after(told: Trace, milliseconds: float) -> Outcome:
    """How it stands so long after the click."""
    return outcome(told, began_ms=NOW_MS, now_ms=NOW_MS + milliseconds)


DELIVERED = trace(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])


def test_a_receipt_makes_it_delivered() -> None:
    assert after(DELIVERED, 600) is Outcome.DELIVERED


def test_every_station_without_a_receipt_is_not_delivered() -> None:
    passed = trace(WHOLE_WAY, anomalies=[anomaly()])
    assert after(passed, 600) is Outcome.RUNNING
    assert after(passed, STOPPED_AFTER_MS + 1) is Outcome.STOPPED


def test_a_delivery_without_the_other_sides_word_is_not_delivered() -> None:
    claimed = trace(WHOLE_WAY, notifications=[notification(receipt="")])
    assert after(claimed, 600) is not Outcome.DELIVERED


@pytest.mark.parametrize(("delivery", "expected"), [("failed", Outcome.FAILED), ("suppressed", Outcome.SUPPRESSED)])
def test_a_notification_that_reached_nobody_is_told_as_that(delivery: str, expected: Outcome) -> None:
    told = trace(WHOLE_WAY[:-1], notifications=[notification(delivery)])
    assert after(told, 600) is expected


def test_a_later_suppressed_update_does_not_take_the_delivery_back() -> None:
    both = trace(WHOLE_WAY, notifications=[notification("suppressed"), notification()])
    assert after(both, 600) is Outcome.DELIVERED


def test_refused_readings_end_the_way() -> None:
    refused = trace(WHOLE_WAY[:3], rejected=[{"stage": "validation", "detail": "ts is in the future"}])
    assert after(refused, 100) is Outcome.REJECTED


HEALTHY = trace(WHOLE_WAY[:6])


def test_silence_after_a_healthy_judgement_is_the_right_end() -> None:
    assert after(HEALTHY, 1_000) is Outcome.RUNNING
    assert after(HEALTHY, QUIET_AFTER_MS + 200) is Outcome.QUIET


def test_a_healthy_minute_stays_one_when_its_link_is_opened_later() -> None:
    assert after(HEALTHY, 86_400_000) is Outcome.QUIET


def test_a_raised_anomaly_without_a_receipt_is_no_healthy_minute() -> None:
    raised = trace(WHOLE_WAY[:7])
    assert after(raised, QUIET_AFTER_MS + 1_000) is Outcome.RUNNING
    assert after(raised, STOPPED_AFTER_MS + 1) is Outcome.STOPPED


def test_readings_that_were_not_all_judged_are_not_called_healthy() -> None:
    half = trace([*WHOLE_WAY[:5], step("anomaly-detection", "scored", 10, 30)])
    assert after(half, QUIET_AFTER_MS + 1_000) is Outcome.RUNNING


def test_while_a_healthy_minute_is_watched_nobody_waits_for_a_notification() -> None:
    verdict = verdict_for(HEALTHY, Outcome.RUNNING, Words("en", UTC))
    assert "Waiting" not in str(verdict.detail)


OVERTAKEN = trace(
    [*WHOLE_WAY[:4], step("mail", "delivered", 398, 1, receipt=RECEIPT)],
    anomalies=[anomaly()],
    notifications=[notification()],
)


def test_a_receipt_that_overtakes_the_hops_is_green_at_once_and_looked_at_again() -> None:
    assert after(OVERTAKEN, 600) is Outcome.DELIVERED
    assert not is_over(OVERTAKEN, Outcome.DELIVERED, NOW_MS + 600)
    assert is_over(DELIVERED, Outcome.DELIVERED, NOW_MS + 600)


def test_readings_that_are_not_stored_yet_are_waited_for() -> None:
    unstored = trace([each for each in WHOLE_WAY if each["did"] != "stored"], notifications=[notification()])
    assert not is_over(unstored, Outcome.DELIVERED, NOW_MS + 600)


def test_hops_that_never_come_are_not_waited_for_longer() -> None:
    assert is_over(OVERTAKEN, Outcome.DELIVERED, NOW_MS + 518 + LOOK_ON_MS + 1)


def test_a_time_is_told_only_when_every_hop_is_known() -> None:
    say = Words("en", UTC)
    assert "after the reading" not in str(verdict_for(OVERTAKEN, Outcome.DELIVERED, say).detail)
    assert "ms after the reading" in str(verdict_for(DELIVERED, Outcome.DELIVERED, say).detail)


REFUSED = notification("failed", channel="webhook", receipt="HTTP 500")


def test_one_refusal_takes_the_green_away_and_says_which() -> None:
    both = trace(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification(), REFUSED])
    assert after(both, 600) is Outcome.FAILED
    verdict = verdict_for(both, Outcome.FAILED, Words("en", UTC))
    assert verdict.title == "Not delivered by webhook"
    assert "HTTP 500" in str(verdict.detail)
    assert RECEIPT in str(verdict.detail)


def test_after_a_refusal_the_other_channel_is_still_waited_for() -> None:
    refused = trace(WHOLE_WAY[:-1], anomalies=[anomaly()], notifications=[REFUSED])
    assert after(refused, 600) is Outcome.FAILED
    assert not is_over(refused, Outcome.FAILED, NOW_MS + 600)


def test_a_webhook_alone_is_green_only_when_no_mail_is_to_be_expected() -> None:
    told = trace(WHOLE_WAY[:-1], notifications=[notification(channel="webhook", receipt="HTTP 200")])
    assert after(told, 600) is Outcome.RUNNING
    assert after(told, 518 + OTHER_CHANNEL_MS + 1) is Outcome.DELIVERED


def test_without_any_channel_it_is_not_delivered() -> None:
    nowhere = trace(WHOLE_WAY[:-1], notifications=[notification("failed", channel="none", receipt="no channel")])
    assert "no channel" in str(verdict_for(nowhere, after(nowhere, 600), Words("en", UTC)).detail)


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
