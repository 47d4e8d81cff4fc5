"""An alarm gets the name of the fault that it looks like, or an honest "unknown" with the reason."""

from __future__ import annotations

import math
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from detection.classifier import UNKNOWN, Classifier, Reason, Signature, direction
from detection.classifier_fit import Case, fit_classifier
from detection.errors import FitError, ModelError
from detection.explain import Findings, Sensor
from detection.kinds import Kind

CHANNELS = ["vibration", "current", "flow"]


def findings(kind: Kind = Kind.LEVEL, **moved: float) -> Findings:
    """Sensors with their share, signed by where they went, each well outside its healthy range of 9 to 11."""
    sensors = [
        Sensor(
            name=name,
            share=abs(share),
            seen=10 + math.copysign(5, share),
            expected=10,
            expected_low=9,
            expected_high=11,
        )
        for name, share in moved.items()
    ]
    return Findings(kind=kind, sensors=sensors, window_ms=[], window={})


def noisy(rng: np.random.Generator, kind: Kind = Kind.LEVEL, **moved: float) -> Findings:
    shares = {name: share + rng.normal(0, 0.1) for name, share in moved.items()}
    return findings(kind, **shares)


def cases(*faults: tuple[str, dict[str, float]], sources: int = 4, kind: Kind = Kind.LEVEL) -> list[Case]:
    rng = np.random.default_rng(1)
    return [
        Case(fault, f"pump-{source}", noisy(rng, kind, **moved))
        for source in range(sources)
        for fault, moved in faults
        for _ in range(5)
    ]


BLOCKED = ("blocked", {"flow": -0.7, "current": -0.3})
BEARING = ("bearing", {"vibration": 0.9, "current": 0.1})


@pytest.fixture
def classifier() -> Classifier:
    return fit_classifier(cases(BLOCKED, BEARING), CHANNELS)


def test_an_alarm_gets_the_name_of_what_it_looks_like(classifier: Classifier) -> None:
    naming = classifier.name(findings(flow=-0.72, current=-0.28))
    assert (naming.fault, naming.reason, naming.candidates) == ("blocked", Reason.LIKE, ["blocked"])
    assert list(naming.likeness) == ["blocked", "bearing"]
    assert naming.likeness["blocked"] > 0.99


def test_the_same_sensors_the_other_way_are_another_thing(classifier: Classifier) -> None:
    naming = classifier.name(findings(flow=0.7, current=0.3))
    assert (naming.fault, naming.reason, naming.candidates) == (UNKNOWN, Reason.UNLIKE, [])


def test_half_of_each_fault_is_neither(classifier: Classifier) -> None:
    naming = classifier.name(findings(flow=-0.4, current=-0.1, vibration=0.5))
    assert naming.fault == UNKNOWN


def test_two_faults_that_look_the_same_are_told_as_both() -> None:
    twins = fit_classifier(cases(BLOCKED, ("leak", BLOCKED[1]), BEARING), CHANNELS)
    naming = twins.name(findings(**BLOCKED[1]))
    assert (naming.fault, naming.reason) == (UNKNOWN, Reason.BETWEEN)
    assert sorted(naming.candidates) == ["blocked", "leak"]


def test_a_fault_is_known_only_by_the_questions_that_found_it(classifier: Classifier) -> None:
    naming = classifier.name(findings(Kind.JUMP, flow=-0.7, current=-0.3))
    assert (naming.fault, naming.reason, naming.likeness) == (UNKNOWN, Reason.UNLIKE, {})


def test_roughness_has_no_up_and_down() -> None:
    up, down = (
        findings(Kind.ROUGHNESS, vibration=0.9, current=0.1),
        findings(Kind.ROUGHNESS, vibration=-0.9, current=0.1),
    )
    assert np.array_equal(direction(up.kind, up.sensors, CHANNELS), direction(down.kind, down.sensors, CHANNELS))


def test_a_direction_has_no_unit_no_size_and_no_order() -> None:
    small = findings(vibration=0.8, flow=-0.2)
    large = msgspec.structs.replace(
        small,
        sensors=[
            msgspec.structs.replace(
                s, seen=1000 * s.seen, expected=1000 * s.expected, expected_low=9e3, expected_high=11e3
            )
            for s in reversed(small.sensors)
        ],
    )
    assert np.allclose(direction(small.kind, small.sensors, CHANNELS), direction(large.kind, large.sensors, CHANNELS))


def test_a_sensor_inside_its_healthy_range_has_hardly_a_direction() -> None:
    inside = Sensor(name="current", share=0.5, seen=10.01, expected=10, expected_low=9, expected_high=11)
    outside = Sensor(name="flow", share=0.5, seen=5, expected=10, expected_low=9, expected_high=11)
    pointed = direction(Kind.LEVEL, [inside, outside], CHANNELS)
    assert pointed[2] == pytest.approx(-1, abs=1e-3)
    assert abs(pointed[1]) < 0.02


def test_an_alarm_of_channels_that_nobody_learned_is_unknown(classifier: Classifier) -> None:
    assert classifier.name(findings(oil_level=1.0)).fault == UNKNOWN


def test_a_machine_with_many_alarms_counts_as_much_as_one_with_few() -> None:
    few = cases(BLOCKED, BEARING)
    odd = [Case("bearing", "pump-0", findings(vibration=0.6, current=0.4)) for _ in range(500)]
    learned = {s.fault: s for s in fit_classifier(few + odd, CHANNELS).signatures}
    assert learned["bearing"].direction[0] > 0.9
    assert learned["bearing"].sources == 4


def test_a_fault_seen_at_one_machine_alone_cannot_be_learned() -> None:
    lonely = [*cases(BLOCKED), Case("bearing", "pump-0", findings(vibration=1.0))]
    with pytest.raises(FitError, match=r"must have been seen 2 times in the same way; not so: bearing"):
        fit_classifier(lonely, CHANNELS)


def test_learning_from_nothing_or_from_the_name_unknown_is_refused() -> None:
    with pytest.raises(FitError, match="no alarm to learn from"):
        fit_classifier([], CHANNELS)
    with pytest.raises(FitError, match="a fault must have a name"):
        fit_classifier(cases((UNKNOWN, {"flow": -1.0})), CHANNELS)


def test_the_order_of_cases_changes_nothing() -> None:
    some = cases(BLOCKED, BEARING)
    assert fit_classifier(some, CHANNELS).to_bytes() == fit_classifier(some[::-1], CHANNELS).to_bytes()


def test_what_was_saved_names_the_same(classifier: Classifier) -> None:
    again = Classifier.from_bytes(classifier.to_bytes())
    assert again == classifier
    assert len(classifier.to_bytes()) < 2000


BENT: list[tuple[dict[str, object], str]] = [
    ({"format": 2}, "format 2"),
    ({"channels": ["flow", "flow", "current"]}, "different names"),
    ({"signatures": []}, "1 to 192 signatures"),
]


@pytest.mark.parametrize(("change", "refusal"), BENT)
def test_a_bent_classifier_is_refused(classifier: Classifier, change: dict[str, object], refusal: str) -> None:
    with pytest.raises(ModelError, match=refusal):
        Classifier.from_bytes(msgspec.structs.replace(classifier, **change).to_bytes())


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"direction": [1.0, 0.0]}, "unit vector over 3 channels"),
        ({"direction": [1.0, 1.0, 0.0]}, "unit vector"),
        ({"fault": UNKNOWN}, "needs a name"),
        ({"least_likeness": 1.5}, "limits of"),
        ({"least_lead": -0.1}, "limits of"),
    ],
)
def test_a_bent_signature_is_refused(classifier: Classifier, change: dict[str, object], refusal: str) -> None:
    bent: Signature = msgspec.structs.replace(classifier.signatures[0], **change)
    with pytest.raises(ModelError, match=refusal):
        Classifier.from_bytes(msgspec.structs.replace(classifier, signatures=[bent]).to_bytes())


def test_bytes_that_are_no_classifier_are_refused() -> None:
    for payload in (b"{}", b"\xff", b"[" * 100_000, b" " * (1 << 20) + b"{"):
        with pytest.raises(ModelError):
            Classifier.from_bytes(payload)


def test_two_signatures_of_one_fault_and_question_are_refused(classifier: Classifier) -> None:
    twice = [classifier.signatures[0]] * 2
    with pytest.raises(ModelError, match="one signature per kind"):
        Classifier.from_bytes(msgspec.structs.replace(classifier, signatures=twice).to_bytes())


def test_naming_needs_neither_scipy_nor_scikit_learn() -> None:
    script = "import sys, detection.classifier; sys.exit(bool({'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
