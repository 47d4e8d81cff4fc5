"""What the gateway says of itself: retained on both brokers, and replaced by its Last Will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from broker.bus import Will
from contract.topics import Channel, DeviceTopic
from edge.gateway.counts import REFUSED

# By name in the status; the totals count all.
_MOST_NAMED = 20


class LocalAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that the gateway itself raised while the cloud was away."""

    device: str
    anomaly_id: str
    phase: str
    severity: str
    measured_at_ms: int


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counts since the outbox was made. `state` is online; the Last Will says offline.

    `held`: readings that the cloud has not confirmed, the oldest of which came at `oldest_ms`. `sent` counts what went
    again too. `dropped` by reason: rows, bytes, age; `dropped_by_device` names those that lost most. `refused`:
    messages that were no readings, by reason. `trouble`: why nothing is taken in. `alarms`: raised here while the cloud
    was away, the latest last.
    """

    state: str
    at_ms: int
    since_ms: int
    cloud: bool
    devices: int
    held: int
    held_bytes: int
    oldest_ms: int | None
    kept: int
    sent: int
    stored: int
    repeated: int = 0
    contradicted: int = 0
    dropped: dict[str, int] = {}
    dropped_by_device: dict[str, int] = {}
    refused: dict[str, int] = {}
    trouble: str | None = None
    models: int = 0
    alarms: Sequence[LocalAlarm] = ()


def status_topic(site: str, name: str) -> str:
    """Where the gateway speaks of itself: as a device of its site."""
    return str(DeviceTopic(site, name, Channel.STATUS))


def last_will(site: str, name: str) -> Will:
    """What the broker says when the gateway is gone without a good-bye."""
    return Will(status_topic(site, name), offline())


def offline() -> bytes:
    """What it says when it leaves."""
    return msgspec.json.encode({"state": "offline"})


def refused_by_reason(totals: Counter[str]) -> dict[str, int]:
    """Reason → messages."""
    return {name.removeprefix(REFUSED): count for name, count in totals.items() if name.startswith(REFUSED)}


def dropped_by_reason(drops: Sequence[tuple[str, str, int]]) -> dict[str, int]:
    """Reason → readings."""
    by_reason: Counter[str] = Counter()
    for _, reason, readings in drops:
        by_reason[reason] += readings
    return dict(by_reason)


def dropped_by_device(drops: Sequence[tuple[str, str, int]]) -> dict[str, int]:
    """Device → readings, of those that lost most."""
    by_device: Counter[str] = Counter()
    for device, _, readings in drops:
        by_device[device] += readings
    return dict(by_device.most_common(_MOST_NAMED))
