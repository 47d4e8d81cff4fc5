"""Everybody on the broker but the devices, with the rights that follow from their own declarations."""

from __future__ import annotations

from cloud.agents import registry
from cloud.api import listener
from contract.access import Party
from contract.codec import topic_filter
from contract.events import ModelPromotedEvent
from contract.topics import Channel, DeviceTopic

TRAINER = Party(name="trainer", writes=[topic_filter(ModelPromotedEvent)], reads=[topic_filter(ModelPromotedEvent)])

# What a broker may keep of a device, and what its erasure takes away.
ERASED = (Channel.STATUS, Channel.CONFIG_REPORTED, Channel.COMMAND_RESULT, Channel.CONFIG_DESIRED, Channel.FIRMWARE,
          Channel.STORED, Channel.STATE)  # fmt: skip
# The owner at the command line, who configures devices, looks how they are, and has one erased.
OPERATOR = Party(
    name="operator",
    writes=[*(DeviceTopic.filter(channel) for channel in ERASED), topic_filter(ModelPromotedEvent)],
    reads=[DeviceTopic.filter(channel) for channel in (Channel.CONFIG_REPORTED, Channel.STATUS)],
)


def parties() -> list[Party]:
    """The agents, the API, the trainer and the owner at the command line."""
    return [*registry.parties(), listener.party("web"), TRAINER, OPERATOR]
