"""The store as the notification agent uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cloud.notifications.decision import LastSent
from cloud.storage.database import Database
from cloud.storage.notifications import NotificationStore
from contract.codec import decode_events
from contract.events import AnomalyDetectedEvent, ModelRefusedEvent, NotificationSentEvent

# What the broker was given this long ago is on its way no more; what is older than a day is history.
_LOST_AFTER_MS = 30 * 1000
_NEWS_FOR_MS = 24 * 60 * 60 * 1000


class NotificationJournal:
    """What was sent, what was held back, and receipts on their way to the broker."""

    def __init__(self, database: Database, clock_ms: Callable[[], float]) -> None:
        self._store = NotificationStore(database)
        self._clock_ms = clock_ms

    async def last_sent(self, site: str, device: str) -> LastSent | None:
        """The last message about this device that really went out."""
        last = await self._store.last(site, device)
        if last is None:
            return None
        return LastSent(
            anomaly_id=last.anomaly_id,
            severity=last.severity,
            measured_at_ms=last.measured_at_ms,
            sent_at_ms=last.sent_at_ms,
        )

    async def refusal_told_ms(self, site: str, device: str) -> int | None:
        """When people were last told of a refused model of this device."""
        return await self._store.refusal_told_ms(site, device)

    async def is_decided(self, event: AnomalyDetectedEvent | ModelRefusedEvent) -> bool:
        """Was this very event delivered or held back before?"""
        return await self._store.is_decided(event)

    async def held_back(self, site: str, device: str) -> int:
        """How many were held back since then."""
        last = await self._store.last(site, device)
        return 0 if last is None else last.suppressed

    async def untold(self) -> Sequence[AnomalyDetectedEvent | ModelRefusedEvent]:
        """Events that were published and never decided on."""
        now_ms = int(self._clock_ms())
        from_ms, until_ms = now_ms - _NEWS_FOR_MS, now_ms - _LOST_AFTER_MS
        anomalies = await self._store.untold(from_ms=from_ms, until_ms=until_ms)
        return [*anomalies, *await self._store.untold_refusals(from_ms=from_ms, until_ms=until_ms)]

    async def record(self, event: AnomalyDetectedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        """Keep the receipts and that they are to be published."""
        for receipt in receipts:
            await self._store.record(receipt, event, now_ms=int(self._clock_ms()))

    async def record_refusal(self, refusal: ModelRefusedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        """The same for those about a refused model."""
        for receipt in receipts:
            await self._store.record_refusal(receipt, refusal, now_ms=int(self._clock_ms()))

    async def unpublished(self) -> Sequence[NotificationSentEvent]:
        """Receipts that were kept and perhaps never published."""
        waiting = await self._store.outbox.unpublished()
        return [event for message in waiting for event in decode_events(NotificationSentEvent, message.payload)]

    async def published(self, receipts: Sequence[NotificationSentEvent]) -> None:
        """These reached the broker."""
        await self._store.outbox.mark_published([receipt.id for receipt in receipts], now_ms=int(self._clock_ms()))
