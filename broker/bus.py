"""The bus as an agent sees it: subscribe, receive, acknowledge, publish; and what each kind of bus promises."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

import msgspec

from broker.filters import is_topic, shortened
from contract.errors import ContractError, Reason, RondaError

# A device's largest message is a picture or a firmware block of 5 MB; room for it in Base64 and no more.
MAX_PACKET_BYTES = 8 * 1024 * 1024
# Fixed header (5), topic length (2) and packet id (2): MQTT 3.1.1, sections 2.2 and 3.3.
_PACKET_OVERHEAD_BYTES = 9


class Message(msgspec.Struct, frozen=True):
    """What somebody said on a topic. `token` ties its acknowledgement to the connection it came in on."""

    topic: str
    payload: bytes
    retain: bool
    token: object


class Will(msgspec.Struct, frozen=True):
    """What the broker says for a party that vanished without a good-bye (retained, QoS 1)."""

    topic: str
    payload: bytes


class Promises(msgspec.Struct, frozen=True, kw_only=True):
    """What a bus holds, each flag proven, or its absence demonstrated, by one suite over all buses."""

    # A message that was received but not acknowledged comes again after a reconnect.
    redelivers_unacknowledged: bool
    # What is published while a persistent subscriber is away or killed reaches it later.
    survives_subscriber_kill: bool
    # Messages of one publisher on one topic arrive in its order.
    keeps_order_per_publisher: bool
    # What `publish` returned for is still there after the broker was stopped and started.
    survives_broker_restart: bool
    # The same after kill -9 of the broker: it acknowledges only what is in its durable log.
    survives_broker_kill: bool
    # A full queue holds the publisher back; what was acknowledged is never thrown away.
    refuses_when_full: bool


# What MQTT 3.1.1 itself asks of every broker; hand in `EMBEDDED` or `MOSQUITTO` when the broker is known.
ANY_BROKER = Promises(
    redelivers_unacknowledged=True,
    survives_subscriber_kill=True,
    keeps_order_per_publisher=True,
    survives_broker_restart=False,
    survives_broker_kill=False,
    refuses_when_full=False,
)


class RefusedError(RondaError):
    """The broker knows this party but not its password, or will not let it do this: a person must act."""


class Bus(Protocol):
    """One party's connection to the others. At least once: every message may come again."""

    @property
    def promises(self) -> Promises:
        """What this bus, with the broker behind it, holds."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics at QoS 1, now and after every reconnect."""
        ...

    async def receive(self, limit: int = 256) -> list[Message]:
        """Wait for at least one message and return what is there, oldest first, at most `limit`."""
        ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that the work on `messages` is done; those of an earlier connection are skipped (they come again)."""
        ...

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish (topic, payload) pairs at QoS 1; returns once the broker has acknowledged them all.

        Raises: TransientError when the broker did not take them within a bounded time; ContractError for a message
        that no broker of ours would take.
        """
        ...


class Line(Bus, Protocol):
    """A bus that knows whether it is up."""

    @property
    def connected(self) -> bool:
        """Is there a connection at this moment, with all subscriptions in force?"""
        ...


def check_messages(messages: Sequence[tuple[str, bytes]]) -> None:
    """Raises: ContractError for what is no topic, or a message over MAX_PACKET_BYTES: a broker hangs up on either."""
    for topic, payload in messages:
        size = _topic_bytes(topic) + len(payload) + _PACKET_OVERHEAD_BYTES
        if size > MAX_PACKET_BYTES:
            raise ContractError(
                Reason.TOO_LARGE, f"a message of {size} bytes on {topic} is over the limit of {MAX_PACKET_BYTES}"
            )


@lru_cache(4096)
def _topic_bytes(topic: str) -> int:
    if not is_topic(topic):
        raise ContractError(Reason.BAD_NAME, f"{shortened(topic)!r} is not a topic to publish on")
    return len(topic.encode())
