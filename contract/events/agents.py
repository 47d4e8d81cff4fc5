"""What an agent says of itself."""

from __future__ import annotations

import enum

import msgspec


class AgentState(enum.StrEnum):
    """Is the agent there?"""

    ONLINE = "online"
    OFFLINE = "offline"


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself: retained, and replaced by its Last Will."""

    agent: str
    instance: str
    state: AgentState
    since_ms: int
    partitions: str = "0-63"
