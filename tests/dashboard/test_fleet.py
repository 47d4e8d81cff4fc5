"""Who stands first on the fleet page, and who counts as reporting."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from dashboard.caveats import caveat
from dashboard.evidence import compared
from dashboard.facts import Anomaly, Device, MailSummary, fact
from dashboard.golden_view import mail_words
from dashboard.language import Words
from dashboard.ranking import reporting, state_of, worst_first
from tests.dashboard.plant import NOW_MS, anomaly, device, sensor


def known(name: str, state: str = "healthy", **more: object) -> Device:
    return fact(Device, device(name, state, **more))


def alarm(name: str, score: float) -> tuple[tuple[str, str], Anomaly]:
    return ("plant-1", name), fact(Anomaly, anomaly(device=name, score=score))


def test_the_worst_stands_first_then_the_higher_score_then_the_name_as_people_count() -> None:
    devices = [
        known("demo-10", "warning"),
        known("fan-10"),
        known("demo-2", "warning"),
        known("fan-2"),
        known("mixer", "critical"),
        known("demo-1", "warning"),
        known("pump-07", "critical"),
    ]
    alarms = dict([alarm("mixer", 2.1), alarm("pump-07", 6.2), alarm("demo-1", 1.9), alarm("demo-2", 1.1)])
    alarms |= dict([alarm("demo-10", 1.1)])
    ranked = [each.device for each in worst_first(devices, alarms)]
    assert ranked == ["pump-07", "mixer", "demo-1", "demo-2", "demo-10", "fan-2", "fan-10"]


def test_reporting_is_who_was_heard_of_lately_whatever_the_state() -> None:
    devices = [
        known("a", "healthy", last_seen_ms=NOW_MS - 800),
        known("b", "learning", last_seen_ms=NOW_MS - 299_000),
        known("demo-1", "healthy", origin="demo", last_seen_ms=NOW_MS - 60_000),
        known("c", "critical", last_seen_ms=NOW_MS - 301_000),
        known("d", "no_data", last_seen_ms=None),
    ]
    assert reporting(devices, NOW_MS) == 3


def caveat_of(state: str = "healthy", *, named: bool = False, **more: Any) -> str:
    shown = caveat(known("a", state, **more), state, Words("en", UTC), named=named)
    return "" if shown is None else str(shown.children[1])


def test_a_calm_machine_says_what_to_know_beside_its_state() -> None:
    young, ready = {"state": "running", "maturity": "young"}, {"state": "running", "maturity": "ready"}
    assert caveat_of() == caveat_of(machine=ready) == ""
    assert caveat_of(machine=young) == "Young model"
    assert caveat_of(machine=young, drifting=["flow_lpm"]) == "Readings drift"
    assert caveat_of(machine=ready | {"sensors": {"flow_lpm": "stuck"}}) == "1 sensor stuck or silent"
    doubtful = ready | {"sensors": {"flow_lpm": "stuck", "current_a": "missing"}}
    assert caveat_of(named=True, machine=doubtful) == "2 sensors stuck or silent: Motor current, Flow"
    assert caveat_of(named=True, machine=ready, drifting=["flow_lpm"]) == "Readings drift: Flow"
    assert caveat_of("warning", machine=young) == ""


def test_a_machine_that_is_off_is_so_and_a_demonstration_machine_rests() -> None:
    assert [state_of(known("a", "off")), state_of(known("demo-1", "off", origin="demo"))] == ["off", "resting"]


def test_what_is_outside_its_range_is_in_the_table_whatever_its_share() -> None:
    within = ["pressure_bar", "flow_lpm", "current_a", "vibration_de_rms_g"]
    sensors = [sensor(name, 0.2) for name in within] + [sensor("motor_temperature_c", 0.0, 67.1)]
    shown = compared(fact(Anomaly, anomaly(sensors=[*sensors, *sensors[:3]])))
    assert shown[0].name == "motor_temperature_c"


def test_a_mail_is_told_in_its_own_language() -> None:
    ill, reader = fact(Anomaly, anomaly()), Words("pt", UTC)
    said = [MailSummary(id="m", subject=subject) for subject in ("▲ Critical: a, b", "▲ Crítico: a, b", "hello")]
    spoken = [mail_words(mail, ill, reader) for mail in said]
    assert [words.language if words else None for words in spoken] == ["en", "pt", None]
