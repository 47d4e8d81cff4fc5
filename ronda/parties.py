"""Everybody on the broker but the devices, with the rights that follow from their own declarations."""

from __future__ import annotations

from cloud.agents import registry
from cloud.api import listener
from contract.access import Party
from contract.codec import topic_filter
from contract.events import ModelPromotedEvent
from contract.topics import Channel, DeviceTopic

TRAINER = Party(name="trainer", writes=[topic_filter(ModelPromotedEvent)], reads=[topic_filter(ModelPromotedEvent)])

# The owner at the command line, who configures devices and looks how they are.
OPERATOR = Party(
    name="operator",
    writes=[DeviceTopic.filter(Channel.CONFIG_DESIRED)],
    reads=[DeviceTopic.filter(channel) for channel in (Channel.CONFIG_REPORTED, Channel.STATUS)],
)


def parties() -> list[Party]:
    """The agents, the API, the trainer and the owner at the command line."""
    return [*registry.parties(), listener.party("web"), TRAINER, OPERATOR]
