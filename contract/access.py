"""Who may say what: parties and the topic filters they write and read. Both brokers' rules are made from this."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contract.topics import (
    DEVICE_READS,
    DEVICE_WRITES,
    GATEWAY_READS,
    GATEWAY_WRITES,
    DeviceTopic,
    ModelTopic,
)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """A service's user name on the broker and the topic filters it may write to and read from."""

    name: str
    writes: Sequence[str]
    reads: Sequence[str]


def device_rights(site: str, device: str) -> Party:
    """What the user `site/device` may do: speak for itself alone."""
    return Party(
        name=f"{site}/{device}",
        writes=[str(DeviceTopic(site, device, channel)) for channel in DEVICE_WRITES],
        reads=[str(DeviceTopic(site, device, channel)) for channel in DEVICE_READS],
    )


def gateway_rights(site: str) -> Party:
    """What the user `gateway/site` may do: speak for the devices of its site, and hear which models they have."""
    return Party(
        name=f"gateway/{site}",
        writes=[DeviceTopic.filter(channel, site) for channel in GATEWAY_WRITES],
        reads=[*(DeviceTopic.filter(channel, site) for channel in GATEWAY_READS), ModelTopic.filter(site)],
    )
