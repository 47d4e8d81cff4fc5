"""Which reading is this? The identity that absorbs repeats and the id that follows it to the e-mail."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from contract.names import BOOT, NAME

# Fixed for ever: a device's partition decides where its state lives.
PARTITIONS = 64

# The `boot` of devices that do not count their readings; their `seq` is a digest.
UNCOUNTED_BOOT = "uncounted"

# A digest's 63 bits; a device's own counter is smaller.
_LARGEST_SEQ = 2**63 - 1
_ID = re.compile(rf"({NAME.pattern})\.({NAME.pattern})\.({BOOT.pattern}|{UNCOUNTED_BOOT})\.([0-9]{{1,19}})")


class Identity(NamedTuple):
    """Which reading of which device, taken apart."""

    site: str
    device: str
    boot: str
    seq: int


def partition_of(site: str, device: str) -> int:
    """The chain partition, 0 to 63, that all readings of this device travel in."""
    return zlib.crc32(f"{site}/{device}".encode()) % PARTITIONS


def reading_id(site: str, device: str, boot: str, seq: int) -> str:
    """The identity written out, which is also the correlation id: `plant-1.pump-07.9f2c41d07be3a655.17`."""
    return f"{site}.{device}.{boot}.{seq}"


def parse_reading_id(text: str) -> Identity | None:
    """The identity that `text` spells, or None for any other correlation id."""
    if (found := _ID.fullmatch(text)) is None:
        return None
    site, device, boot, seq = found.groups()
    return Identity(site, device, boot, int(seq)) if int(seq) <= _LARGEST_SEQ else None


def digest_seq(site: str, device: str, measured_at_ms: int, values: Mapping[str, float]) -> int:
    """A 63-bit identity for a reading that carries no counter: the same content twice is the same reading."""
    canonical = msgspec.json.encode([site, device, measured_at_ms, sorted(values.items())])
    return int.from_bytes(hashlib.sha256(canonical).digest()[:8], "big") >> 1


def digest_id(*parts: str | bytes | int | None) -> str:
    """A deterministic 128-bit id, so that doing the same work twice gives the same event."""
    return hashlib.sha256(msgspec.json.encode([p if p is None else str(p) for p in parts])).hexdigest()[:32]
