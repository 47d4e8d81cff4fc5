"""Who is connected to the broker or has a queue in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from broker.embedded.outbox import DurableOutbox, Outbox
from broker.fullness import MAX_MESSAGES

# As much again as messages of a kilobyte, which is five readings.
_MAX_OCTETS = 1024 * 1024 * 1024
# A device that is away must not hold up the plant: beyond this it misses what is newest, as in Mosquitto.
_DEVICE_ROWS = 10_000
_DEVICE_OCTETS = 16 * 1024 * 1024


class QueueSpec(msgspec.Struct, frozen=True):
    """A queue that exists before its agent first connects: whose it is and what it collects."""

    user: str
    filters: Sequence[str]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a service's queue, which holds the publisher back when it is full."""

    rows: int = MAX_MESSAGES
    octets: int = _MAX_OCTETS


DEVICE_LIMITS = Limits(rows=_DEVICE_ROWS, octets=_DEVICE_OCTETS)


class Line(Protocol):
    """The connection that a client has at the moment."""

    def cut(self, reason: str) -> None: ...


def is_service(user: str) -> bool:
    """Is this user one of ours, and not a device or a gateway?"""
    return "/" not in user


class Client:
    """One client id: whose it is, its queue, and its connection while it has one."""

    def __init__(self, client_id: str, user: str, outbox: Outbox, *, declared: bool) -> None:
        self.client_id, self.user, self.outbox, self.declared = client_id, user, outbox, declared
        self.line: Line | None = None
        self.head, self.attempts = 0, 0
        self.last_seen_s = time.time()
        # QoS 2: packet ids that were taken and not yet released [MQTT-4.3.3-2].
        self.taken: set[int] = set()

    @property
    def durable(self) -> DurableOutbox | None:
        """The queue in the log, if this client has one."""
        return self.outbox if isinstance(self.outbox, DurableOutbox) else None

    @property
    def is_waited_for(self) -> bool:
        """Is this a service that is declared or here?

        One that nobody declares and that is away may never come back: full, it misses what is newest, as a device
        does, and what it misses is counted.
        """
        return self.declared or (self.line is not None and is_service(self.user))

    @property
    def holds_back(self) -> bool:
        """Must publishers wait for this client's queue to get room?"""
        durable = self.durable
        return durable is not None and durable.full and self.is_waited_for
