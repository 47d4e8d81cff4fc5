"""Who hears of what, told as timelines: minutes of the device's own time, from the first alarm on."""

from __future__ import annotations

from typing import Any

from cloud.notifications.decision import Decision, LastSent, Policy, Why, decide
from contract.events import AnomalyDetectedEvent, Phase, Severity
from tests.support.anomalies import MINUTE_MS, RAISED_AT_MS, anomaly


class Timeline:
    """Events one after the other; what is sent becomes the last message, as the agent does it."""

    def __init__(self, **policy: int) -> None:
        self._policy = Policy(**policy)
        self._last: LastSent | None = None
        self._event = anomaly()
        self._now_ms = 0
        self._decision: Decision | None = None

    def at(self, minute: float, event: AnomalyDetectedEvent, *, our_minute: float | None = None) -> None:
        """This event happens at `minute` of the device's time, and of ours if not said otherwise."""
        at_ms = RAISED_AT_MS + round(minute * MINUTE_MS)
        self._now_ms = RAISED_AT_MS + round((minute if our_minute is None else our_minute) * MINUTE_MS)
        self._event = anomaly_at(event, at_ms)
        self._decision = decide(self._event, self._last, self._now_ms, self._policy)
        if self._decision.send:
            self._last = LastSent(
                anomaly_id=self._event.anomaly_id,
                severity=self._event.severity,
                measured_at_ms=self._event.measured_at_ms,
                sent_at_ms=self._now_ms,
            )

    def again(self) -> None:
        """The bus brings the last event once more."""
        self._decision = decide(self._event, self._last, self._now_ms, self._policy)

    def expect(self, why: Why, *, mail: bool) -> None:
        assert self._decision == Decision(send=mail, reason=why)


def anomaly_at(event: AnomalyDetectedEvent, at_ms: int) -> AnomalyDetectedEvent:
    return anomaly(
        **{name: getattr(event, name) for name in ("anomaly_id", "phase", "severity", "replayed")},
        measured_at_ms=at_ms,
        seq=at_ms % 1_000_000_007,
    )


def raised(anomaly_id: str = "a", severity: Severity = Severity.WARNING, **changes: Any) -> AnomalyDetectedEvent:
    return anomaly(anomaly_id=anomaly_id, phase=Phase.RAISED, severity=severity, **changes)


def updated(anomaly_id: str = "a", severity: Severity = Severity.WARNING) -> AnomalyDetectedEvent:
    return anomaly(anomaly_id=anomaly_id, phase=Phase.UPDATED, severity=severity)


def cleared(anomaly_id: str = "a") -> AnomalyDetectedEvent:
    return anomaly(anomaly_id=anomaly_id, phase=Phase.CLEARED, severity=Severity.WARNING)


def test_the_first_alarm_of_a_device_is_told() -> None:
    line = Timeline()
    line.at(0, raised())
    line.expect(Why.FIRST, mail=True)


def test_a_flapping_machine_is_told_once_in_ten_minutes() -> None:
    line = Timeline()
    line.at(0, raised("a"))
    line.expect(Why.FIRST, mail=True)
    line.at(2, cleared("a"))
    line.expect(Why.CLEARED, mail=False)
    line.at(5, raised("b"))
    line.expect(Why.COOLDOWN, mail=False)
    line.at(9.99, updated("b"))
    line.expect(Why.COOLDOWN, mail=False)


def test_what_the_cooldown_held_back_is_told_when_it_outlasts_it() -> None:
    line = Timeline()
    line.at(0, raised("a"))
    line.at(5, raised("b"))
    line.expect(Why.COOLDOWN, mail=False)
    line.at(10, updated("b"))
    line.expect(Why.FIRST, mail=True)


def test_a_new_anomaly_after_the_cooldown_is_told() -> None:
    line = Timeline()
    line.at(0, raised("a"))
    line.at(3, cleared("a"))
    line.at(10, raised("b"))
    line.expect(Why.FIRST, mail=True)


def test_getting_worse_breaks_the_cooldown_once() -> None:
    line = Timeline()
    line.at(0, raised("a", Severity.WARNING))
    line.at(1, updated("a", Severity.CRITICAL))
    line.expect(Why.WORSE, mail=True)
    line.at(2, updated("a", Severity.CRITICAL))
    line.expect(Why.COOLDOWN, mail=False)


def test_a_worse_anomaly_breaks_the_cooldown_of_a_lesser_one() -> None:
    line = Timeline()
    line.at(0, raised("a", Severity.WARNING))
    line.at(4, raised("b", Severity.CRITICAL))
    line.expect(Why.WORSE, mail=True)


def test_getting_better_is_not_getting_worse() -> None:
    line = Timeline()
    line.at(0, raised("a", Severity.CRITICAL))
    line.at(1, updated("a", Severity.WARNING))
    line.expect(Why.COOLDOWN, mail=False)
    line.at(2, updated("a", Severity.CRITICAL))
    line.expect(Why.COOLDOWN, mail=False)


def test_an_anomaly_that_lasts_is_brought_to_mind_once_an_hour() -> None:
    line = Timeline()
    line.at(0, raised())
    line.at(30, updated())
    line.expect(Why.UPDATED, mail=False)
    line.at(60, updated())
    line.expect(Why.REPEAT_INTERVAL_ELAPSED, mail=True)
    line.at(61, updated())
    line.expect(Why.COOLDOWN, mail=False)
    line.at(119.9, updated())
    line.expect(Why.UPDATED, mail=False)
    line.at(120, updated())
    line.expect(Why.REPEAT_INTERVAL_ELAPSED, mail=True)


def test_nobody_is_told_of_yesterday() -> None:
    line = Timeline()
    line.at(0, raised(replayed=True))
    line.expect(Why.REPLAYED, mail=False)
    line.at(1, raised("b"))
    line.expect(Why.FIRST, mail=True)


def test_the_same_event_twice_is_one_mail() -> None:
    line = Timeline()
    line.at(0, raised())
    line.again()
    line.expect(Why.COOLDOWN, mail=False)


def test_the_cooldown_goes_by_the_devices_time_and_not_by_ours() -> None:
    line = Timeline()
    line.at(0, raised("a"), our_minute=0)
    line.at(11, raised("b"), our_minute=0.5)
    line.expect(Why.FIRST, mail=True)


def test_a_device_whose_clock_is_set_back_is_not_muted_until_it_catches_up() -> None:
    line = Timeline()
    line.at(60, raised("a"), our_minute=0)
    line.at(5, raised("b"), our_minute=5)
    line.expect(Why.COOLDOWN, mail=False)
    line.at(10, raised("c"), our_minute=10)
    line.expect(Why.FIRST, mail=True)


def test_the_policy_is_the_sites_own() -> None:
    line = Timeline(cooldown_ms=MINUTE_MS, repeat_interval_ms=5 * MINUTE_MS)
    line.at(0, raised("a"))
    line.at(1, raised("b"))
    line.expect(Why.FIRST, mail=True)
    line.at(6, updated("b"))
    line.expect(Why.REPEAT_INTERVAL_ELAPSED, mail=True)
