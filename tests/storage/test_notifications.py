from __future__ import annotations

from typing import Any

import msgspec

from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.notifications import LastNotification, NotificationStore
from contract.events import AnomalyDetectedEvent, Delivery, NotificationSentEvent, Phase, Severity
from tests.support.anomalies import RAISED_AT_MS, anomaly

NOW_MS = RAISED_AT_MS + 2000


def _receipt(about: AnomalyDetectedEvent, **changes: Any) -> NotificationSentEvent:
    receipt = NotificationSentEvent(
        site=about.site,
        device=about.device,
        anomaly_id=about.anomaly_id,
        decision="first",
        channel="mail",
        delivery=Delivery.DELIVERED,
        receipt="250 2.0.0 Ok: queued as 4F1",
        sent_at_ms=NOW_MS,
        correlation_id=about.correlation_id,
        recipients=["maria@plant.example"],
        message_id="<a1b2@ronda>",
    )
    return msgspec.structs.replace(receipt, **changes)


def _suppressed(about: AnomalyDetectedEvent, at_ms: int) -> NotificationSentEvent:
    return _receipt(about, decision="cooldown", delivery=Delivery.SUPPRESSED, receipt="", sent_at_ms=at_ms)


async def test_a_receipt_is_kept_once_with_its_message(database: Database) -> None:
    store, about = NotificationStore(database), anomaly()
    receipt = _receipt(about)
    assert await store.record(receipt, about, now_ms=NOW_MS)
    assert not await store.record(receipt, about, now_ms=NOW_MS + 1)
    assert await store.by_correlation(about.correlation_id) == [receipt]
    assert await store.is_decided(about)
    assert await store.by_correlation(about.correlation_id) == [receipt]
    [message] = await store.outbox.unpublished()
    assert (message.id, message.topic) == (receipt.id, "ronda/v1/plant-1/pump-07/notification")
    await store.outbox.mark_published([message.id], now_ms=NOW_MS)
    assert await store.outbox.unpublished() == []


async def test_the_next_decision_knows_the_last_delivery_and_what_was_held_back_since(database: Database) -> None:
    store, about = NotificationStore(database), anomaly(severity=Severity.WARNING)
    await store.record(_suppressed(about, NOW_MS - 10), about, now_ms=NOW_MS)
    await store.record(_receipt(about), about, now_ms=NOW_MS)
    for number in range(3):
        repeat = anomaly(anomaly_id=f"{number:032x}", measured_at_ms=RAISED_AT_MS + 60_000)
        await store.record(_suppressed(repeat, NOW_MS + 10 + number), repeat, now_ms=NOW_MS)
    assert await store.last("plant-1", "pump-07") == LastNotification(
        anomaly_id=about.anomaly_id,
        severity=Severity.WARNING,
        measured_at_ms=RAISED_AT_MS,
        sent_at_ms=NOW_MS,
        suppressed=3,
    )


async def test_what_failed_or_concerned_another_device_starts_no_cooldown(database: Database) -> None:
    store, about, other = NotificationStore(database), anomaly(), anomaly(device="pump-08", anomaly_id="0" * 32)
    await store.record(_receipt(about, delivery=Delivery.FAILED), about, now_ms=NOW_MS)
    await store.record(_receipt(other), other, now_ms=NOW_MS)
    assert await store.last("plant-1", "pump-07") is None


async def _untold(database: Database) -> list[AnomalyDetectedEvent]:
    return await NotificationStore(database).untold(from_ms=RAISED_AT_MS, until_ms=NOW_MS)


async def test_an_alarm_that_the_bus_had_and_nobody_decided_on_is_untold(database: Database) -> None:
    store, about = AnomalyStore(database), anomaly()
    await store.apply([about], [], now_ms=NOW_MS)
    assert await _untold(database) == [], "it is not on the bus yet"
    await store.outbox.mark_published([about.id], now_ms=NOW_MS + 1)
    assert await _untold(database) == [], "it may be on its way"
    assert await NotificationStore(database).untold(from_ms=RAISED_AT_MS, until_ms=NOW_MS + 1) == [about]
    assert await NotificationStore(database).untold(from_ms=NOW_MS, until_ms=NOW_MS + 1) == [], "it is history"
    await NotificationStore(database).record(_suppressed(about, NOW_MS), about, now_ms=NOW_MS)
    assert await NotificationStore(database).untold(from_ms=RAISED_AT_MS, until_ms=NOW_MS + 1) == []


async def test_an_alarm_whose_end_was_heard_and_its_beginning_not_is_untold(database: Database) -> None:
    store, about = AnomalyStore(database), anomaly()
    cleared = anomaly(phase=Phase.CLEARED, measured_at_ms=RAISED_AT_MS + 60_000, seq=88_274)
    await store.apply([about, cleared], [], now_ms=NOW_MS)
    await store.outbox.mark_published([about.id, cleared.id], now_ms=NOW_MS)
    receipt = _receipt(cleared, decision="cleared", delivery=Delivery.SUPPRESSED)
    await NotificationStore(database).record(receipt, cleared, now_ms=NOW_MS)
    assert await _untold(database) == [about]


async def test_an_alarm_that_grew_unheard_is_untold(database: Database) -> None:
    store, about = AnomalyStore(database), anomaly(severity=Severity.WARNING)
    worse = anomaly(phase=Phase.UPDATED, measured_at_ms=RAISED_AT_MS + 60_000, seq=88_274)
    await store.apply([about, worse], [], now_ms=NOW_MS)
    await store.outbox.mark_published([about.id, worse.id], now_ms=NOW_MS)
    await NotificationStore(database).record(_receipt(about), about, now_ms=NOW_MS)
    assert await _untold(database) == [worse]


async def test_a_past_that_was_made_up_is_not_told(database: Database) -> None:
    await AnomalyStore(database).keep_past([anomaly()])
    assert await _untold(database) == []
