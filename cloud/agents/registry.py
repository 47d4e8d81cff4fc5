"""The chain in order, and what follows from its declarations: rights and queues on the broker, and its drawing."""

from __future__ import annotations

from collections.abc import Sequence

from broker.credentials import SERVICE_PREFIX
from cloud.agents.acquisition import DataAcquisitionAgent
from cloud.agents.agent import Agent
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.historian import Historian
from cloud.agents.notification import NotificationAgent
from cloud.agents.validation import ValidationAgent
from contract.access import Party

AGENTS: tuple[type[Agent], ...] = (
    DataAcquisitionAgent,
    ValidationAgent,
    AnomalyDetectionAgent,
    NotificationAgent,
    Historian,
)


def agent_named(name: str) -> type[Agent]:
    """The agent of this name. Raises: KeyError when there is none."""
    return {agent.name: agent for agent in AGENTS}[name]


def parties() -> list[Party]:
    """The agents' rights on the broker."""
    return [agent.party() for agent in AGENTS]


def client_id(agent: type[Agent], partitions: str | None = None) -> str:
    """The plain name of the agent's persistent session on the broker; `secret_client_id` makes it hard to guess."""
    name = f"{SERVICE_PREFIX}{agent.name}"
    return name if partitions is None else f"{name}-{partitions}"


def drawing(agents: Sequence[type[Agent]] = AGENTS) -> str:
    """The chain as its declarations have it, one agent a line."""
    return "\n".join(f"{agent.name:<18} {_names(agent.consumes)}  →  {_names(agent.produces)}" for agent in agents)


def _names(kinds: Sequence[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
