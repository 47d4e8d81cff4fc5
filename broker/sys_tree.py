"""What a broker says of its own queues, on the topics that only a broker may write: `$SYS/broker/…`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from broker.fullness import Fill
from contract.errors import ContractError, Reason

SYS = "$SYS/"
# The embedded broker: each service's queue, once a second.
QUEUES = f"{SYS}broker/queues"
# Mosquitto: all messages that wait in its memory, those for several subscribers once; every ten seconds, when it
# changed. It tells nobody about single queues.
STORED = f"{SYS}broker/store/messages/count"
TOPICS = (QUEUES, STORED)

_fills = msgspec.json.Decoder(list[Fill])


def said(fills: Sequence[Fill]) -> bytes:
    """The payload on QUEUES."""
    return msgspec.json.encode(fills)


def heard(topic: str, payload: bytes, *, max_queued: int) -> list[Fill]:
    """What a broker said; `max_queued`: messages for one absent subscriber beyond which Mosquitto drops.

    Raises: ContractError for what neither of the two brokers says.
    """
    try:
        if topic == QUEUES:
            return _fills.decode(payload)
        if topic == STORED:
            return [Fill("Mosquitto", int(payload), max_queued, "messages")]
    except (msgspec.DecodeError, ValueError) as error:
        raise ContractError(Reason.MALFORMED_JSON, f"{topic} says {payload[:80]!r}: {error}") from error
    raise ContractError(Reason.BAD_NAME, f"{topic!r} is not what a broker says of its queues")
