"""Every topic of Ronda: built, filtered and parsed here and spelled nowhere else."""

from __future__ import annotations

import enum
from typing import NamedTuple

from contract.errors import ContractError, Reason
from contract.events import ModelRole
from contract.identity import PARTITIONS
from contract.names import check_device, check_site

_DEVICES = "ronda/v1"
_CHAIN = "ronda-chain/v1"


class Channel(enum.StrEnum):
    """What one device's topic carries: `ronda/v1/{site}/{device}/{channel}`."""

    TELEMETRY = "telemetry"
    STATUS = "status"
    CONFIG_REPORTED = "config/reported"
    COMMAND_RESULT = "command/result"
    CONFIG_DESIRED = "config/desired"
    COMMAND = "command"
    FIRMWARE = "firmware"
    STORED = "stored"
    ANOMALY = "anomaly"
    REJECTED = "rejected"
    NOTIFICATION = "notification"
    STATE = "state"
    DRIFT = "drift"
    MODEL_REFUSED = "model-refused"


DEVICE_WRITES = (Channel.TELEMETRY, Channel.STATUS, Channel.CONFIG_REPORTED, Channel.COMMAND_RESULT)
DEVICE_READS = (Channel.CONFIG_DESIRED, Channel.COMMAND, Channel.FIRMWARE, Channel.STORED)
GATEWAY_WRITES = (Channel.TELEMETRY, Channel.STATUS)
GATEWAY_READS = (Channel.STORED,)


class Stage(enum.StrEnum):
    """A hop between agents: `ronda-chain/v1/{stage}/{partition}`."""

    INGESTED = "ingested"
    VALIDATED = "validated"
    TRACE = "trace"


_CHANNELS = frozenset(str(channel) for channel in Channel)
_STAGES = frozenset(str(stage) for stage in Stage)
_PARTITIONS = frozenset(str(partition) for partition in range(PARTITIONS))


class DeviceTopic(NamedTuple):
    """`ronda/v1/{site}/{device}/{channel}`: what concerns exactly one device."""

    site: str
    device: str
    channel: Channel

    def __str__(self) -> str:
        return f"{_DEVICES}/{self.site}/{self.device}/{self.channel}"

    @staticmethod
    def filter(channel: Channel, site: str = "+", device: str = "+") -> str:
        """The subscription for `channel` of one device, one site or everybody."""
        return f"{_DEVICES}/{site}/{device}/{channel}"

    @classmethod
    def parse(cls, topic: str) -> DeviceTopic:
        """The reverse of `str`. Raises: ContractError for a topic of another family or with an impossible name."""
        head, _, rest = topic.partition(f"{_DEVICES}/")
        site, _, rest = rest.partition("/")
        device, _, channel = rest.partition("/")
        if head or channel not in _CHANNELS:
            raise ContractError(Reason.BAD_NAME, f"{topic!r} is not a device topic")
        return cls(check_site(site), check_device(device), Channel(channel))


class ChainTopic(NamedTuple):
    """`ronda-chain/v1/{stage}/{partition}`: a micro-batch on its way between two agents."""

    stage: Stage
    partition: int

    def __str__(self) -> str:
        return f"{_CHAIN}/{self.stage}/{self.partition}"

    @staticmethod
    def filter(stage: Stage, partition: int | None = None) -> str:
        """The subscription for one partition of a stage, or for all of them."""
        return f"{_CHAIN}/{stage}/{'+' if partition is None else partition}"

    @classmethod
    def parse(cls, topic: str) -> ChainTopic:
        """The reverse of `str`. Raises: ContractError for a topic of another family."""
        head, _, rest = topic.partition(f"{_CHAIN}/")
        stage, _, partition = rest.partition("/")
        if head or stage not in _STAGES or partition not in _PARTITIONS:
            raise ContractError(Reason.BAD_NAME, f"{topic!r} is not a chain topic")
        return cls(Stage(stage), int(partition))


class AgentTopic(NamedTuple):
    """`ronda-chain/v1/agent/{name}/{instance}`: who is alive (retained, with a Last Will)."""

    name: str
    instance: str

    def __str__(self) -> str:
        return f"{_CHAIN}/agent/{self.name}/{self.instance}"

    @staticmethod
    def filter(name: str = "+", instance: str = "+") -> str:
        """The subscription for one agent's announcements or everybody's."""
        return f"{_CHAIN}/agent/{name}/{instance}"

    @classmethod
    def parse(cls, topic: str) -> AgentTopic:
        """The reverse of `str`. Raises: ContractError for a topic of another family."""
        head, _, rest = topic.partition(f"{_CHAIN}/agent/")
        name, _, instance = rest.partition("/")
        if head or not name or not instance or "/" in instance:
            raise ContractError(Reason.BAD_NAME, f"{topic!r} is not an agent topic")
        return cls(name, instance)


class ModelTopic(NamedTuple):
    """`ronda-chain/v1/model/{site}/{device}`: the device's champion; with `/challenger`, its challenger (retained)."""

    site: str
    device: str
    role: ModelRole = ModelRole.CHAMPION

    def __str__(self) -> str:
        champion = f"{_CHAIN}/model/{self.site}/{self.device}"
        return champion if self.role is ModelRole.CHAMPION else f"{champion}/{self.role}"

    @staticmethod
    def filter(site: str = "+", device: str = "+") -> str:
        """The subscription for one device's promotions or everybody's, to either role: `#` covers its parent too."""
        return f"{_CHAIN}/model/{site}/{device}/#"

    @classmethod
    def parse(cls, topic: str) -> ModelTopic:
        """The reverse of `str`. Raises: ContractError for a topic of another family."""
        head, _, rest = topic.partition(f"{_CHAIN}/model/")
        site, _, rest = rest.partition("/")
        device, _, role = rest.partition("/")
        if head or role not in {"", ModelRole.CHALLENGER} or topic.endswith("/"):
            raise ContractError(Reason.BAD_NAME, f"{topic!r} is not a model topic")
        return cls(check_site(site), check_device(device), ModelRole(role or ModelRole.CHAMPION))
