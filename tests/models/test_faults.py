"""Fault names from alarms that people confirmed: learned, registered, in force, and refused in words."""

from __future__ import annotations

import math

import mlflow
import msgspec
import pandas as pd
import pytest

from cloud.models.artifacts import ArtifactError, Artifacts
from cloud.models.faults import findings_of, teach_faults
from cloud.models.registry import Provenance, Registry
from cloud.storage.classifiers import ClassifierStore
from cloud.storage.database import Database
from cloud.storage.verdicts import Confirmed
from contract.events import AnomalyDetectedEvent
from detection.classifier import Classifier
from detection.errors import FitError
from tests.support.anomalies import anomaly, sensor

MADE = Provenance(code_version="test", made_at_ms=7)


def alarm(device: str, question: str = "level", **moved: float) -> AnomalyDetectedEvent:
    """Sensors with their share, signed by where they went, each well outside its healthy range of 9 to 11."""
    sensors = [sensor(name, "", abs(part), 10 + math.copysign(5, part), 10, 9, 11) for name, part in moved.items()]
    plain = anomaly(device=device)
    return msgspec.structs.replace(
        plain, evidence=msgspec.structs.replace(plain.evidence, sensors=sensors, question=question)
    )


def confirmed(devices: int = 3) -> list[Confirmed]:
    out = []
    for number in range(devices):
        worn = alarm(f"pump-{number}", vibration=0.8 + number / 100, current=0.2 - number / 100)
        blocked = alarm(f"pump-{number}", flow=-0.7 - number / 100, current=-0.3 + number / 100)
        out += [Confirmed(event=worn, cause="bearing_wear"), Confirmed(event=blocked, cause="clogged_filter")]
    return out


def test_what_people_found_is_what_the_classifier_names() -> None:
    taught = teach_faults(confirmed())
    assert taught.learned == {"bearing_wear": 3, "clogged_filter": 3}
    assert taught.classifier.channels == ["current", "flow", "vibration"]
    for cause, moved in (
        ("bearing_wear", {"vibration": 0.8, "current": 0.2}),
        ("clogged_filter", {"flow": -0.7, "current": -0.3}),
    ):
        assert taught.classifier.name(findings_of(alarm("pump-9", **moved).evidence)).fault == cause


def test_a_fault_of_one_machine_alone_is_no_signature() -> None:
    with pytest.raises(
        FitError, match=r"by two machines yet.* confirmed so far: bearing_wear \(1\), clogged_filter \(1\)"
    ):
        teach_faults(confirmed(1))


def test_a_fault_that_one_machine_has_shown_waits_and_stops_nobody() -> None:
    rare = Confirmed(event=alarm("pump-1", vibration=0.5, flow=0.5), cause="baering_wear")
    taught = teach_faults([*confirmed(), rare])
    assert taught.learned == {"bearing_wear": 3, "clogged_filter": 3}
    assert taught.left_out == {"baering_wear": 1}
    assert taught.classifier == teach_faults(confirmed()).classifier


def test_without_a_confirmed_cause_the_person_is_told_how_to_add_one() -> None:
    limits = [Confirmed(event=alarm("pump-1", "limit", vibration=1.0), cause="bearing_wear")]
    for nothing in ([], limits):
        with pytest.raises(FitError, match="ronda verdict ALERT true --cause bearing_wear"):
            teach_faults(nothing)


async def test_a_classifier_is_registered_checked_and_in_force(database: Database, registry: Registry) -> None:
    taught = teach_faults(confirmed())
    payload, store = taught.classifier.to_bytes(), ClassifierStore(database)
    first = registry.register_classifier("plant-1", payload, taught.learned, MADE)
    assert (first.name, first.version, first.learned) == ("ronda-faults.plant-1", "1", taught.learned)
    await store.promote(first)
    assert await store.all_current() == [first]
    assert Classifier.from_bytes(Artifacts().fetch(first.artifact_uri, first.sha256)) == taught.classifier
    with pytest.raises(ArtifactError, match="it was changed after its promotion"):
        Artifacts().fetch(first.artifact_uri, "0" * 64)
    later = Provenance(code_version="test", made_at_ms=8)
    second = registry.register_classifier("plant-1", payload, taught.learned, later)
    await store.promote(second)
    assert [each.version for each in await store.all_current()] == ["2"]
    assert "ronda-faults.plant-1" not in {champion.name for champion in registry.champions()}


def test_the_registry_serves_it_with_a_signature(registry: Registry) -> None:
    made = registry.register_classifier("plant-7", teach_faults(confirmed()).classifier.to_bytes(), {}, MADE)
    served = mlflow.pyfunc.load_model(f"models:/{made.name}@champion")
    assert served.metadata.signature.inputs.input_names() == ["question", "sensors"]
    sensors = [findings_of(alarm("pump-9", vibration=0.8, current=0.2).evidence).sensors, []]
    frame = pd.DataFrame(
        {"question": ["level"] * 2, "sensors": [msgspec.json.encode(each).decode() for each in sensors]}
    )
    assert served.predict(frame)["fault"].tolist() == ["bearing_wear", "unknown"]
