"""What an alarm's event says: its kind, which question found it, and what it looks like."""

from __future__ import annotations

import msgspec
import pytest

from cloud.agents.assets import Asset, Position
from cloud.agents.evidence import anomaly_event
from cloud.agents.inputs import input_watch
from contract.events import AlarmKind, AnomalyDetectedEvent
from contract.identity import digest_id
from detection.change import Change
from detection.classifier import Classifier, Signature
from detection.episode import Phase, Severity
from detection.explain import Explanation
from detection.kinds import Alarm, Kind
from detection.machine import Machine
from tests.agents.detection_bench import DEVICE, MODEL, SITE, block, promotion, rows
from tests.support.findings import CALM, pump

SINCE_MS = 1_763_398_430_000
SHAKEN = pump(vibration_de_rms_g=8.0, vibration_nde_rms_g=5.0)
KNOWN = Classifier(
    channels=list(CALM),
    signatures=[
        Signature(
            fault="imbalance",
            kind=Kind.LEVEL,
            direction=[0.8, 0.6, *[0.0] * (len(CALM) - 2)],
            least_likeness=0.7,
            least_lead=0.1,
            sources=2,
        )
    ],
)


def event(alarm: Alarm = Alarm.ANOMALY, classifier: Classifier | None = None) -> AnomalyDetectedEvent:
    asset = Asset(promotion(), Machine.begun(MODEL), Position(0), input_watch(MODEL))
    explanation = Explanation(
        **{**msgspec.structs.asdict(SHAKEN), "since_ms": SINCE_MS, "sentence": {"en": "It shakes."}}
    )
    change = Change(
        phase=Phase.RAISED,
        row=0,
        severity=Severity.WARNING,
        score=1.5,
        peak_score=1.5,
        since_ms=SINCE_MS,
        explanation=explanation,
        alarm=alarm,
    )
    return anomaly_event(asset, block(rows(1)), change, 0, classifier=classifier, classifier_name="faults.plant-1 v3")


def test_the_event_says_which_question_found_it_and_what_the_rules_say() -> None:
    evidence = event().evidence
    assert evidence.question == "level"
    assert evidence.cause is not None
    assert (evidence.cause.by, evidence.cause.fault) == ("rule", "mechanical")
    assert "ISO" in evidence.cause.source


def test_a_sites_classifier_is_asked_first() -> None:
    cause = event(classifier=KNOWN).evidence.cause
    assert cause is not None
    assert (cause.by, cause.fault, cause.source) == ("classifier", "imbalance", "faults.plant-1 v3")


def test_an_anomaly_keeps_the_id_it_always_had() -> None:
    assert event().anomaly_id == digest_id(SITE, DEVICE, SINCE_MS)
    assert event().kind is AlarmKind.ANOMALY


@pytest.mark.parametrize("alarm", list(Alarm))
def test_alarms_of_two_kinds_that_begin_together_are_two(alarm: Alarm) -> None:
    assert event(alarm).kind == alarm.value
    ids = {event(each).anomaly_id for each in Alarm}
    assert len(ids) == len(Alarm)
