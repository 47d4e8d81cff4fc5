"""What was decided and must reach the bus: written with the decision, marked once the bus has it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.database import Database
from cloud.storage.tables import Outbox as Message
from contract.codec import encode_events
from contract.events import AnomalyDetectedEvent, InputDriftedEvent, ModelRefusedEvent, NotificationSentEvent

Published = AnomalyDetectedEvent | InputDriftedEvent | ModelRefusedEvent | NotificationSentEvent


class OutboxMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to publish: the event's id, its topic and its bytes."""

    id: str
    topic: str
    payload: bytes


class Outbox:
    """The messages of one kind of event, by the event's class name."""

    def __init__(self, database: Database, kind: type[Published]) -> None:
        self._database = database
        self._kind = kind.__name__

    async def add(self, connection: AsyncConnection, event: Published, *, now_ms: int) -> bool:
        """Write the event in the caller's transaction. Returns False when this very event was written before."""
        [(topic, payload)] = encode_events([event])
        message = insert(Message).values(
            id=event.id, kind=self._kind, topic=topic, payload=payload, created_at_ms=now_ms
        )
        return (await connection.execute(message.on_conflict_do_nothing())).rowcount == 1

    async def unpublished(self, *, limit: int = 10_000) -> list[OutboxMessage]:
        """What is still to be published, in the order of decision: at the start, and after a failure."""
        waiting = (
            select(Message.id, Message.topic, Message.payload)
            .where(Message.kind == self._kind, Message.published_at_ms.is_(None))
            .order_by(Message.serial)
            .limit(limit)
        )
        async with self._database.begin() as connection:
            rows = await connection.execute(waiting)
            return [OutboxMessage(id=id_, topic=topic, payload=payload) for id_, topic, payload in rows]

    async def mark_published(self, ids: Sequence[str], *, now_ms: int) -> None:
        """The bus has acknowledged these."""
        done = update(Message).where(Message.id.in_(ids), Message.published_at_ms.is_(None))
        async with self._database.begin() as connection:
            await connection.execute(done.values(published_at_ms=now_ms))
