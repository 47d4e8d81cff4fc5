"""The chain in order, and what follows from its declarations: rights and queues on the broker, and its drawing."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.agents.acquisition import DataAcquisitionAgent
from cloud.agents.agent import Agent
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.historian import Historian
from cloud.agents.notification import NotificationAgent
from cloud.agents.validation import ValidationAgent
from contract.access import Party
from contract.codec import topic_filter
from contract.events import HopEvent, ModelPromotedEvent, ValidatedDataEvent
from contract.topics import AgentTopic, Channel, DeviceTopic

AGENTS: tuple[type[Agent], ...] = (
    DataAcquisitionAgent,
    ValidationAgent,
    AnomalyDetectionAgent,
    NotificationAgent,
    Historian,
)

# The HTTP bridge says what clients post on the device's topic, asks demonstration machines for a fault, and listens.
WEB = Party(
    name="web",
    writes=[
        DeviceTopic.filter(Channel.TELEMETRY),
        DeviceTopic.filter(Channel.COMMAND),
        DeviceTopic.filter(Channel.CONFIG_DESIRED),
        topic_filter(HopEvent),
    ],
    reads=[
        *(DeviceTopic.filter(channel) for channel in Channel),
        *map(topic_filter, (ValidatedDataEvent, HopEvent, ModelPromotedEvent)),
        AgentTopic.filter(),
    ],
)
TRAINER = Party(name="trainer", writes=[topic_filter(ModelPromotedEvent)], reads=[topic_filter(ModelPromotedEvent)])


def agent_named(name: str) -> type[Agent]:
    """The agent of this name. Raises: KeyError when there is none."""
    return {agent.name: agent for agent in AGENTS}[name]


def parties() -> list[Party]:
    """Everybody on the broker but the devices."""
    return [*(agent.party() for agent in AGENTS), WEB, TRAINER]


def client_id(agent: type[Agent], partitions: str | None = None) -> str:
    """The name of the agent's persistent session on the broker, the same after a restart."""
    return f"ronda-{agent.name}" if partitions is None else f"ronda-{agent.name}-{partitions}"


def drawing(agents: Sequence[type[Agent]] = AGENTS) -> str:
    """The chain as its declarations have it, one agent a line."""
    return "\n".join(f"{agent.name:<18} {_names(agent.consumes)}  →  {_names(agent.produces)}" for agent in agents)


def _names(kinds: Sequence[type]) -> str:
    return ", ".join(kind.__name__ for kind in kinds)
