"""A site's classifier is fetched beside the scoring; alarms are raised with the old one, or without any."""

from __future__ import annotations

import asyncio

import pytest

from cloud.agents.anomaly_detection import LOOK_TICKS
from cloud.agents.fault_names import ClassifierRef
from detection.classifier import Classifier, Signature
from detection.kinds import Kind
from tests.agents.detection_bench import SITE, Bench, anomalies, block, promotion, rows
from tests.support.machines import METRICS

SHAKING = Signature(
    fault="bearing_wear", kind=Kind.LEVEL, direction=[1.0, 0.0, 0.0, 0.0], least_likeness=0.5, least_lead=0.1, sources=2
)


def ref(version: str) -> ClassifierRef:
    return ClassifierRef(site=SITE, name="ronda-faults.plant-1", version=version, sha256="s", artifact_uri="memory:")


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.files.classifier = Classifier(channels=METRICS, signatures=[SHAKING])
    made.store.promoted = [promotion("1")]
    return made


async def test_an_alarm_names_the_fault_that_the_sites_classifier_knows(bench: Bench) -> None:
    bench.store.named = [ref("1")]
    await bench.agent.start()
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    cause = raised.evidence.cause
    assert cause is not None
    assert (cause.fault, cause.by, cause.source) == ("bearing_wear", "classifier", "ronda-faults.plant-1 v1")


@pytest.mark.parametrize("fate", ["tampered", "away"])
async def test_one_that_cannot_be_used_leaves_the_one_before_in_place(bench: Bench, fate: str) -> None:
    bench.store.named = [ref("1")]
    await bench.agent.start()
    getattr(bench.files, fate).add("2")
    bench.store.named = [ref("2")]
    for _ in range(2 * LOOK_TICKS + 1):
        await bench.agent.tick()
        await asyncio.sleep(0)
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.evidence.cause is not None
    assert raised.evidence.cause.source == "ronda-faults.plant-1 v1"
    tries = bench.files.asked.count("faults 2")
    assert tries == 1 if fate == "tampered" else tries > 1


async def test_without_a_classifier_the_rules_speak_alone(bench: Bench) -> None:
    await bench.agent.start()
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.evidence.cause is None or raised.evidence.cause.by == "rule"
