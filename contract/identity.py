"""Which reading is this? The identity that absorbs repeats and the id that follows it to the e-mail."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

import msgspec

# Fixed for ever: a device's partition decides where its state lives.
PARTITIONS = 64

# The `boot` of devices that do not count their readings; their `seq` is a digest.
UNCOUNTED_BOOT = "uncounted"


def partition_of(site: str, device: str) -> int:
    """The chain partition, 0 to 63, that all readings of this device travel in."""
    return zlib.crc32(f"{site}/{device}".encode()) % PARTITIONS


def reading_id(site: str, device: str, boot: str, seq: int) -> str:
    """The identity written out, which is also the correlation id: `plant-1.pump-07.9f2c41d07be3a655.17`."""
    return f"{site}.{device}.{boot}.{seq}"


def digest_seq(site: str, device: str, measured_at_ms: int, values: Mapping[str, float]) -> int:
    """A 63-bit identity for a reading that carries no counter: the same content twice is the same reading."""
    canonical = msgspec.json.encode([site, device, measured_at_ms, sorted(values.items())])
    return int.from_bytes(hashlib.sha256(canonical).digest()[:8], "big") >> 1


def digest_id(*parts: str | bytes | int | None) -> str:
    """A deterministic 128-bit id, so that doing the same work twice gives the same event."""
    return hashlib.sha256(msgspec.json.encode([p if p is None else str(p) for p in parts])).hexdigest()[:32]
