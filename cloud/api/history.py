"""What happened, put together from the stores: pages of anomalies, the story of one id, what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from cloud.api.ports import AnomalyFilter, Parts
from cloud.api.ring import Told
from cloud.api.story import Story, tell_story
from cloud.api.stream import tell
from cloud.api.views import (
    AnomalyDetail,
    AnomalyView,
    anomaly_detail,
    anomaly_view,
    last_notification,
    notification_view,
)
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.reading_blocks import ReadingRow
from contract.identity import parse_reading_id

# More than a browser shows at once; it asks for pages beyond.
_MISSED = 100
_US = 1000


class AnomalyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the page behind."""

    items: list[AnomalyView]
    next: str | None


class History:
    """Answers from the stores."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def anomalies(self, wanted: AnomalyFilter, limit: int) -> AnomalyPage:
        """A page."""
        found = await self._parts.lookups.anomalies(wanted, limit + 1)
        shown = found[:limit]
        return AnomalyPage(
            items=await self._with_receipts(shown), next=str(shown[-1].serial) if len(found) > limit else None
        )

    async def anomaly(self, anomaly_id: str) -> AnomalyDetail | None:
        """One, with everything that belongs to it."""
        record = await self._parts.anomalies.get(anomaly_id)
        if record is None:
            return None
        receipts = await self._parts.lookups.notifications_of([anomaly_id])
        verdicts = await self._parts.verdicts.of([anomaly_id])
        return anomaly_detail(record.event, record.latest, receipts.get(anomaly_id, ()), verdicts.get(anomaly_id))

    async def trace(self, correlation_id: str) -> Story | None:
        """The story of one id; None when nobody ever heard of it."""
        parts = self._parts
        hops, rows, refused, anomalies, receipts = await asyncio.gather(
            parts.hops.by_correlation(correlation_id),
            self._readings(correlation_id),
            parts.quarantine.by_correlation(correlation_id),
            parts.anomalies.by_correlation(correlation_id),
            parts.notifications.by_correlation(correlation_id),
        )
        if not (hops or rows or refused or anomalies or receipts):
            return None
        shown = await self._with_receipts(anomalies)
        return tell_story(correlation_id, hops, rows, refused, anomalies, receipts, shown)

    async def _readings(self, correlation_id: str) -> list[ReadingRow]:
        """The reading that the id spells, then those sent under the id."""
        sent = await self._parts.readings.by_correlation(correlation_id)
        identity = parse_reading_id(correlation_id)
        own = None if identity is None else await self._parts.readings.find(*identity)
        return list(sent) if own is None else [own, *(row for row in sent if row != own)]

    async def since(self, at_ms: int) -> list[Told]:
        """What a listener missed that the ring does not have: anomalies and receipts, in the order of their times."""
        anomalies = await self._parts.lookups.anomalies(AnomalyFilter(), _MISSED)
        receipts = await self._parts.lookups.notifications_since(at_ms, _MISSED)
        missed = [
            tell(each.latest.detected_at_ms * _US, "anomaly", each.latest.id, anomaly_view(each.event, each.latest))
            for each in anomalies
            if each.latest.detected_at_ms >= at_ms
        ]
        missed += [tell(each.sent_at_ms * _US, "notification", each.id, notification_view(each)) for each in receipts]
        return sorted(missed, key=lambda told: told.position)

    async def _with_receipts(self, records: Sequence[AnomalyRecord]) -> list[AnomalyView]:
        if not records:
            return []
        ids = [record.anomaly_id for record in records]
        receipts, verdicts = await asyncio.gather(
            self._parts.lookups.notifications_of(ids), self._parts.verdicts.of(ids)
        )
        return [
            anomaly_view(
                record.event,
                record.latest,
                last_notification(receipts.get(record.anomaly_id, ())),
                verdicts.get(record.anomaly_id),
            )
            for record in records
        ]
