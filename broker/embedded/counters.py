"""What the embedded broker counts, for the health page: nothing is dropped or refused in silence."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """Totals since the broker started, in messages unless the name says otherwise."""

    received: int = 0
    delivered: int = 0
    # By reason (`broker.access.Refusal`): acknowledged to the publisher and dropped, as Mosquitto does.
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    # A queue or the disk was full: the publisher was held back, then its connection closed without acknowledgement.
    refused_full: int = 0
    # The bound of a live subscriber, a device, or a service that is away and undeclared was reached: it missed these.
    dropped_slow: int = 0
    dropped_retained: int = 0
    # Times that the log's disk had no room left: every queue was then held to a small bound.
    disk_full: int = 0
    dead_letters: int = 0
    connections: int = 0
    refused_connections: int = 0
    malformed_connections: int = 0

    def refuse(self, reason: str) -> None:
        """Count one refused message."""
        self.refused[reason] = self.refused.get(reason, 0) + 1


class QueueDepth(msgspec.Struct, frozen=True):
    """How much one durable client has still to acknowledge."""

    client_id: str
    user: str
    connected: bool
    messages: int
    octets: int


class Status(msgspec.Struct, frozen=True):
    """The broker at this moment."""

    counters: Counters
    queues: list[QueueDepth]
    retained: int
    # Put aside and kept in the log, those of earlier starts included.
    dead_letters: int
    # Is the disk full at this moment?
    scarce: bool = False
