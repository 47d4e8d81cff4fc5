from __future__ import annotations

from typing import Any

import pytest

from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.detector_states import DetectorState, DetectorStateStore
from contract.codec import decode_events
from contract.events import AnomalyDetectedEvent, Phase, Severity
from tests.support.anomalies import RAISED_AT_MS, anomaly

NOW_MS = RAISED_AT_MS + 50


def _state(**changes: Any) -> DetectorState:
    fields: dict[str, Any] = {
        "site": "plant-1",
        "device": "pump-07",
        "model_version": "14",
        "boot": "9f2c41d07be3a655",
        "seq": 88214,
        "measured_at_ms": RAISED_AT_MS,
        "state": b"\x00window",
        "instance": "hub",
        "updated_at_ms": NOW_MS,
    }
    return DetectorState(**fields | changes)


def _other(number: int, **changes: Any) -> AnomalyDetectedEvent:
    return anomaly(anomaly_id=f"{number:032x}", correlation_id=f"plant-1.pump-07.9f2c41d07be3a655.{number}", **changes)


async def test_an_anomaly_its_state_and_its_message_are_written_together(database: Database) -> None:
    store, raised = AnomalyStore(database), anomaly()
    assert await store.apply([raised], [_state()], now_ms=NOW_MS) == [raised]
    assert await DetectorStateStore(database).get("plant-1", "pump-07") == _state()
    [message] = await store.outbox.unpublished()
    assert message.topic == "ronda/v1/plant-1/pump-07/anomaly"
    assert decode_events(AnomalyDetectedEvent, message.payload) == [raised]
    record = await store.get(raised.anomaly_id)
    assert record is not None
    assert record.event == record.latest == raised


async def test_the_same_event_twice_changes_nothing(database: Database) -> None:
    store, raised = AnomalyStore(database), anomaly()
    await store.apply([raised], [], now_ms=NOW_MS)
    assert await store.apply([raised, raised], [], now_ms=NOW_MS + 1) == []
    assert len(await store.outbox.unpublished()) == 1


async def test_the_evidence_stays_as_raised_while_the_anomaly_goes_on(database: Database) -> None:
    store = AnomalyStore(database)
    raised = anomaly(severity=Severity.WARNING, score=1.2, peak_score=1.2)
    worse = anomaly(phase=Phase.UPDATED, seq=88300, score=2.4, peak_score=2.6, measured_at_ms=RAISED_AT_MS + 9000)
    cleared = anomaly(phase=Phase.CLEARED, seq=88400, score=0.2, peak_score=2.6, measured_at_ms=RAISED_AT_MS + 60_000)
    await store.apply([raised, worse], [_state()], now_ms=NOW_MS)
    await store.apply([cleared], [_state(seq=88400)], now_ms=NOW_MS)
    await store.apply([worse], [], now_ms=NOW_MS)
    record = await store.get(raised.anomaly_id)
    assert record is not None
    assert (record.event, record.latest) == (raised, cleared)
    assert (record.phase, record.severity) == (Phase.CLEARED, Severity.CRITICAL)
    assert (record.raised_at_ms, record.cleared_at_ms) == (RAISED_AT_MS, RAISED_AT_MS + 60_000)
    assert (record.score, record.peak_score) == (0.2, 2.6)
    assert [state.seq for state in await DetectorStateStore(database).all()] == [88400]


async def test_a_failure_leaves_neither_anomaly_nor_state(database: Database) -> None:
    store = AnomalyStore(database)
    with pytest.raises(Exception, match="null value"):
        await store.apply([anomaly()], [_state(state=None)], now_ms=NOW_MS)
    assert await store.outbox.unpublished() == []
    assert await store.get(anomaly().anomaly_id) is None


async def test_messages_are_published_in_the_order_of_decision_and_once(database: Database) -> None:
    store = AnomalyStore(database)
    events = [_other(number) for number in (3, 1, 2)]
    await store.apply(events, [], now_ms=NOW_MS)
    waiting = await store.outbox.unpublished(limit=2)
    assert [message.id for message in waiting] == [event.id for event in events[:2]]
    await store.outbox.mark_published([message.id for message in waiting], now_ms=NOW_MS)
    assert [message.id for message in await store.outbox.unpublished()] == [events[2].id]


async def test_an_id_leads_to_the_anomalies_it_raised(database: Database) -> None:
    store = AnomalyStore(database)
    first, second = _other(1), _other(2, device="pump-08")
    await store.apply([first, second], [], now_ms=NOW_MS)
    assert [each.event for each in await store.by_correlation(second.correlation_id)] == [second]
