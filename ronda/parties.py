"""Everybody on the broker but the devices, with the rights that follow from their own declarations."""

from __future__ import annotations

from cloud.agents import registry
from cloud.api import listener
from contract.access import Party
from contract.codec import topic_filter
from contract.events import ModelPromotedEvent

TRAINER = Party(name="trainer", writes=[topic_filter(ModelPromotedEvent)], reads=[topic_filter(ModelPromotedEvent)])


def parties() -> list[Party]:
    """The agents, the API and the trainer."""
    return [*registry.parties(), listener.party("web"), TRAINER]
