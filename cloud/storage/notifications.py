"""Who was told of what: the receipts, and what the next decision must know of the last one."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.outbox import Outbox
from cloud.storage.tables import Notification
from contract.events import AnomalyDetectedEvent, Delivery, NotificationSentEvent, Severity


class LastNotification(msgspec.Struct, frozen=True, kw_only=True):
    """The last one delivered about a device: of which anomaly, how severe, and when by the device's own time.

    `suppressed` counts what was held back since.
    """

    anomaly_id: str
    severity: Severity
    measured_at_ms: int
    sent_at_ms: int
    suppressed: int


class NotificationStore:
    """The notification agent's memory. `outbox` has the receipts that are to be published."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.outbox = Outbox(database, NotificationSentEvent)

    async def record(self, receipt: NotificationSentEvent, about: AnomalyDetectedEvent, *, now_ms: int) -> bool:
        """Keep the receipt and its message in one transaction. Returns False when it was kept before."""
        fields = {name: getattr(receipt, name) for name in _FIELDS}
        row = insert(Notification).values(
            **fields, event_id=about.id, severity=about.severity, measured_at_ms=about.measured_at_ms, event=receipt
        )
        async with self._database.begin() as connection:
            if not await self.outbox.add(connection, receipt, now_ms=now_ms):
                return False
            await connection.execute(row)
        return True

    async def last(self, site: str, device: str) -> LastNotification | None:
        """The last one delivered about this device on any channel, or None."""
        mine = (Notification.site == site, Notification.device == device)
        newest = (
            select(*(getattr(Notification, name) for name in _LAST))
            .where(*mine, Notification.delivery == Delivery.DELIVERED)
            .order_by(Notification.sent_at_ms.desc())
            .limit(1)
        )
        held_back = select(func.count()).where(*mine, Notification.delivery == Delivery.SUPPRESSED)
        async with self._database.begin() as connection:
            row = (await connection.execute(newest)).one_or_none()
            if row is None:
                return None
            since = await connection.scalar(held_back.where(Notification.sent_at_ms >= row.sent_at_ms))
        return msgspec.convert({**row._asdict(), "suppressed": since}, LastNotification)

    async def is_decided(self, event: AnomalyDetectedEvent) -> bool:
        """Was this very event delivered on some channel, or held back? Only failures do not count."""
        wanted = select(func.count()).where(
            Notification.anomaly_id == event.anomaly_id,
            Notification.event_id == event.id,
            Notification.delivery != Delivery.FAILED,
        )
        async with self._database.begin() as connection:
            return bool(await connection.scalar(wanted))

    async def by_correlation(self, correlation_id: str) -> list[NotificationSentEvent]:
        """What a reading with this id led to, in order."""
        return await self._events(_events().where(Notification.correlation_id == correlation_id))

    async def _events(self, query: Select[*tuple[Any, ...]]) -> list[NotificationSentEvent]:
        async with self._database.begin() as connection:
            rows = await connection.execute(query)
            return [msgspec.convert(event, NotificationSentEvent) for (event,) in rows]


_LAST = ("anomaly_id", "severity", "measured_at_ms", "sent_at_ms")
_FIELDS = (
    "id", "anomaly_id", "site", "device", "decision", "channel", "delivery", "receipt", "recipients", "message_id",
    "suppressed", "correlation_id", "sent_at_ms",
)  # fmt: skip


def _events() -> Select[*tuple[Any, ...]]:
    return select(Notification.event).order_by(Notification.sent_at_ms, Notification.id)
