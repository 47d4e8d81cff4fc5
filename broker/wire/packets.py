"""What a client says to a broker in MQTT 3.1.1, as bytes. Section numbers are those of the OASIS standard."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from broker.bus import Will

PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
DUP, RETAIN = 0x08, 0x01
# The remaining length has at most four bytes of seven bits (2.2.3).
MAX_LENGTH_BYTES = 4
_CONNECT, _PUBLISH_QOS_1, _PUBACK, _SUBSCRIBE = 0x10, 0x32, 0x40020000, 0x82
# Protocol name and level 4, which is MQTT 3.1.1 (3.1.2).
_PROTOCOL = b"\x00\x04MQTT\x04"
_USER, _PASSWORD, _WILL_RETAINED_QOS_1, _CLEAN = 0x80, 0x40, 0x2C, 0x02
_UINT16 = struct.Struct("!H")


class Greeting(NamedTuple):
    """Who connects, and what the broker is to say when we vanish."""

    client_id: str
    persistent: bool
    keepalive_s: int
    user: str | None = None
    password: str | None = None
    will: Will | None = None


def connect(greeting: Greeting) -> bytes:
    """CONNECT (3.1). A password without a user is not sent: 3.1.1 knows none (3.1.2.9)."""
    user, will = greeting.user, greeting.will
    password = greeting.password if user is not None else None
    flags = (0 if greeting.persistent else _CLEAN) | (_WILL_RETAINED_QOS_1 if will else 0)
    flags |= (_USER if user is not None else 0) | (_PASSWORD if password is not None else 0)
    fields = [greeting.client_id.encode()]
    if will:
        fields += [will.topic.encode(), will.payload]
    fields += [text.encode() for text in (user, password) if text is not None]
    head = _PROTOCOL + bytes([flags]) + _UINT16.pack(greeting.keepalive_s)
    return _packet(_CONNECT, head + b"".join(map(_field, fields)))


def publish_parts(packet_id: int, topic: bytes, payload: bytes, flags: int) -> tuple[bytes, bytes, bytes, bytes]:
    """PUBLISH at QoS 1 (3.3) in parts to be joined with those of others. `topic`: as `named` gives it."""
    head = _head(_PUBLISH_QOS_1 | flags, len(topic) + 2 + len(payload))
    return head, topic, _UINT16.pack(packet_id), payload


def subscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """SUBSCRIBE at QoS 1 (3.8)."""
    wanted = b"".join(_field(each.encode()) + b"\x01" for each in filters)
    return _packet(_SUBSCRIBE, _UINT16.pack(packet_id) + wanted)


def acknowledge(packet_ids: Sequence[int]) -> bytes:
    """A PUBACK for each (3.4)."""
    return struct.pack(f"!{len(packet_ids)}I", *[_PUBACK | packet_id for packet_id in packet_ids])


@lru_cache(4096)
def named(topic: str) -> bytes:
    """A topic as it stands in a PUBLISH: its length and its bytes."""
    return _field(topic.encode())


def _field(data: bytes) -> bytes:
    return _UINT16.pack(len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    return _head(first, len(body)) + body


@lru_cache(4096)
def _head(first: int, length: int) -> bytes:
    """The fixed header: the first byte and the remaining length, seven bits a byte, the lowest first (2.2.3)."""
    encoded = bytearray([first])
    while length > 127:
        length, low = divmod(length, 128)
        encoded.append(low | 0x80)
    encoded.append(length)
    return bytes(encoded)
