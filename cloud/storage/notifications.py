"""Who was told of what: the receipts, and what the next decision must know of the last one."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert

from cloud.notifications.decision import Why
from cloud.storage.database import Database
from cloud.storage.outbox import Outbox
from cloud.storage.tables import Anomaly, DetectorState, ModelRefusal, Notification
from cloud.storage.tables import Outbox as Message
from contract.events import AnomalyDetectedEvent, Delivery, ModelRefusedEvent, NotificationSentEvent, Severity


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
        return await self._record(receipt, about.id, about.severity, about.measured_at_ms, now_ms)

    async def record_refusal(self, receipt: NotificationSentEvent, about: ModelRefusedEvent, *, now_ms: int) -> bool:
        """The same for a receipt about a refused model."""
        return await self._record(receipt, about.id, Severity.WARNING, about.at_ms, now_ms)

    async def _record(
        self, receipt: NotificationSentEvent, event_id: str, severity: Severity, measured_at_ms: int, now_ms: int
    ) -> bool:
        fields = {name: getattr(receipt, name) for name in _FIELDS}
        row = insert(Notification).values(
            **fields, event_id=event_id, severity=severity, measured_at_ms=measured_at_ms, event=receipt
        )
        async with self._database.begin() as connection:
            if not await self.outbox.add(connection, receipt, now_ms=now_ms):
                return False
            await connection.execute(row)
        return True

    async def last(self, site: str, device: str) -> LastNotification | None:
        """The last one delivered about an anomaly of this device on any channel, or None."""
        mine = (Notification.site == site, Notification.device == device, Notification.decision.not_in(_OF_MODELS))
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

    async def refusal_told_ms(self, site: str, device: str) -> int | None:
        """When people were last told of a refused model of this device, or None."""
        mine = (Notification.site == site, Notification.device == device, Notification.decision == Why.MODEL_REFUSED)
        newest = select(func.max(Notification.sent_at_ms)).where(*mine, Notification.delivery == Delivery.DELIVERED)
        async with self._database.begin() as connection:
            told: int | None = await connection.scalar(newest)
        return told

    async def is_decided(self, event: AnomalyDetectedEvent | ModelRefusedEvent) -> bool:
        """Was this very event delivered on some channel, or held back? Only failures do not count."""
        about = event.id if isinstance(event, ModelRefusedEvent) else event.anomaly_id
        wanted = select(func.count()).where(
            Notification.anomaly_id == about,
            Notification.event_id == event.id,
            Notification.delivery != Delivery.FAILED,
        )
        async with self._database.begin() as connection:
            return bool(await connection.scalar(wanted))

    async def untold(self, *, from_ms: int, until_ms: int) -> list[AnomalyDetectedEvent]:
        """Of the anomalies detected since `from_ms`: the events that the bus had by `until_ms` and nobody decided on.

        Asked of the latest anomalies only, and without a row read where each was decided on as severe as it is.
        """
        decided = select(Notification.id).where(
            Notification.anomaly_id == _LATEST.c.anomaly_id,
            Notification.severity == _LATEST.c.severity,
            Notification.decision != Why.CLEARED,
        )
        doubtful = select(_LATEST.c.event, _LATEST.c.latest).where(
            _LATEST.c.detected_at_ms >= from_ms, ~decided.exists()
        )
        async with self._database.begin() as connection:
            rows = await connection.execute(doubtful.order_by(_LATEST.c.serial))
            events = [msgspec.convert(event, AnomalyDetectedEvent) for row in rows for event in row]
            by_id = {event.id: event for event in events}
            had = select(Message.id).where(Message.id.in_(by_id), Message.published_at_ms <= until_ms)
            on_the_bus = set(await connection.scalars(had)) if by_id else set()
        return [event for id_, event in by_id.items() if id_ in on_the_bus and not await self.is_decided(event)]

    async def untold_refusals(self, *, from_ms: int, until_ms: int) -> list[ModelRefusedEvent]:
        """Of the models refused since `from_ms`: those that the bus had by `until_ms` and nobody decided on.

        Without those that were mended, and are used meanwhile.
        """
        decided = select(Notification.id).where(Notification.anomaly_id == ModelRefusal.id)
        used = select(DetectorState.device).where(
            DetectorState.site == ModelRefusal.site,
            DetectorState.device == ModelRefusal.device,
            DetectorState.model_version == ModelRefusal.version,
            DetectorState.updated_at_ms > ModelRefusal.at_ms,
        )
        wanted = (
            select(ModelRefusal.event)
            .join(Message, Message.id == ModelRefusal.id)
            .where(ModelRefusal.at_ms >= from_ms, Message.published_at_ms <= until_ms, ~decided.exists())
            # Refused and used at once is what goes on by our own copy.
            .where(_BY_OUR_OWN_COPY | ~used.exists())
            .order_by(ModelRefusal.at_ms, ModelRefusal.id)
        )
        async with self._database.begin() as connection:
            return [msgspec.convert(event, ModelRefusedEvent) for (event,) in await connection.execute(wanted)]

    async def by_correlation(self, correlation_id: str) -> list[NotificationSentEvent]:
        """What a reading with this id led to, in order."""
        return await self._events(_events().where(Notification.correlation_id == correlation_id))

    async def _events(self, query: Select[*tuple[Any, ...]]) -> list[NotificationSentEvent]:
        async with self._database.begin() as connection:
            rows = await connection.execute(query)
            return [msgspec.convert(event, NotificationSentEvent) for (event,) in rows]


# They are about no anomaly, so they neither quieten one nor wait for one.
_OF_MODELS = (Why.MODEL_REFUSED, Why.MODEL_REFUSED_COOLDOWN)
_BY_OUR_OWN_COPY = ModelRefusal.event["in_use", "version"].as_string() == ModelRefusal.version
# More alarms than this while one broker is started again is a plant that nobody reads the mails of.
_LOOKED_AT = 500
_LATEST = (
    select(Anomaly.anomaly_id, Anomaly.severity, Anomaly.event, Anomaly.latest, Anomaly.detected_at_ms, Anomaly.serial)
    .order_by(Anomaly.serial.desc())
    .limit(_LOOKED_AT)
    .subquery()
)
_LAST = ("anomaly_id", "severity", "measured_at_ms", "sent_at_ms")
_FIELDS = (
    "id", "anomaly_id", "site", "device", "decision", "channel", "delivery", "receipt", "recipients", "message_id",
    "suppressed", "correlation_id", "sent_at_ms",
)  # fmt: skip


def _events() -> Select[*tuple[Any, ...]]:
    return select(Notification.event).order_by(Notification.sent_at_ms, Notification.id)
