"""The door: what comes in as bytes goes on as blocks, or aside with a reason."""

from __future__ import annotations

import msgspec
import pytest

from cloud.agents.acquisition import NOBODY, DataAcquisitionAgent, ingest
from cloud.agents.agent import RawTelemetry
from contract.errors import Reason
from contract.events import HopEvent, ReadingRejectedEvent, SensorReadingIngestedEvent
from tests.support.golden import Accepted, accepted

TOPIC = "ronda/v1/plant-1/pump-07/telemetry"
BOOT = "9f2c41d07be3a655"


def raw(body: object, topic: str = TOPIC) -> RawTelemetry:
    payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return RawTelemetry(topic, payload, 1_763_800_000_200)


def reading(seq: int, **values: float) -> dict[str, object]:
    return {"seq": seq, "ts": 1_763_800_000_000 + seq, "values": values}


def test_a_reading_becomes_a_block_of_one_with_its_arrival_time() -> None:
    (block,) = ingest(raw({"boot": BOOT, **reading(17, temperature_c=61.2)}))
    assert isinstance(block, SensorReadingIngestedEvent)
    assert (block.site, block.device, block.boot, block.seq) == ("plant-1", "pump-07", BOOT, [17])
    assert block.received_at_ms == 1_763_800_000_200
    assert block.values == [[61.2]]
    assert block.correlation_id == f"plant-1.pump-07.{BOOT}.17"


def test_neighbours_with_the_same_metrics_share_a_block_and_keep_their_order() -> None:
    rows = [reading(0, a=1), reading(1, a=2), reading(2, b=3), reading(3, a=4)]
    blocks = ingest(raw({"boot": BOOT, "readings": rows, "replayed": True}))
    assert [(block.metrics, block.seq) for block in blocks if isinstance(block, SensorReadingIngestedEvent)] == [
        (["a"], [0, 1]),
        (["b"], [2]),
        (["a"], [3]),
    ]
    assert all(isinstance(block, SensorReadingIngestedEvent) and block.replayed for block in blocks)


def test_one_bad_reading_of_a_message_costs_only_itself() -> None:
    rows = [reading(0, a=1), {"seq": 1, "ts": 1, "values": {"a": "hot"}}, reading(2, a=3)]
    block, refused = ingest(raw({"boot": BOOT, "readings": rows}))
    assert isinstance(block, SensorReadingIngestedEvent)
    assert block.seq == [0, 2]
    assert isinstance(refused, ReadingRejectedEvent)
    assert (refused.reason, refused.boot, refused.seq) == (Reason.WRONG_SHAPE, BOOT, 1)


def test_garbage_is_refused_with_its_bytes() -> None:
    (refused,) = ingest(raw(b"\xff\x00 not json"))
    assert isinstance(refused, ReadingRejectedEvent)
    assert refused.payload == b"\xff\x00 not json"
    assert (refused.site, refused.device, refused.stage) == ("plant-1", "pump-07", "acquisition")


def test_a_topic_that_names_nobody_is_refused_too() -> None:
    (refused,) = ingest(raw({}, topic="ronda/v1/-/./telemetry"))
    assert isinstance(refused, ReadingRejectedEvent)
    assert refused.site == NOBODY


async def test_a_traced_message_leaves_one_hop_with_the_number_of_its_readings() -> None:
    agent = DataAcquisitionAgent(lambda: 5.0)
    rows = [reading(0, a=1), reading(1, b=2)]
    out = await agent.handle([raw({"boot": BOOT, "readings": rows, "traced": True, "correlation_id": "click-1"})])
    (hop,) = [event for event in out if isinstance(event, HopEvent)]
    assert (hop.correlation_id, hop.station, hop.did, hop.readings) == ("click-1", "acquisition", "decoded", 2)


async def test_an_untraced_message_leaves_no_hop() -> None:
    out = await DataAcquisitionAgent(lambda: 5.0).handle([raw({"boot": BOOT, **reading(0, a=1)})])
    assert not [event for event in out if isinstance(event, HopEvent)]


@pytest.mark.parametrize("golden", accepted(), ids=str)
async def test_what_goes_on_is_what_the_careful_decoder_says(golden: Accepted) -> None:
    message = RawTelemetry(golden.topic, golden.payload, 1_763_800_001_000)
    out = await DataAcquisitionAgent(lambda: 5.0).handle([message])
    assert [event for event in out if not isinstance(event, HopEvent)] == ingest(message)
