"""How a machine is, as its own data tell."""

from __future__ import annotations

import enum

import msgspec

from contract.events.event import Event
from contract.events.models import ModelRef


class MachineState(enum.StrEnum):
    """What the machine is doing, as its own data tell."""

    LEARNING = "learning"
    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"


class Maturity(enum.StrEnum):
    """How much healthy running the model has seen."""

    LEARNING = "learning"
    YOUNG = "young"
    READY = "ready"


class SensorState(enum.StrEnum):
    """Can the sensor be believed?"""

    OK = "ok"
    MISSING = "missing"
    STUCK = "stuck"


class Remaining(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a drifting metric crosses its limit (in `unit`): the estimate, the earliest, and the latest where known."""

    metric: str
    limit: float
    unit: str
    crosses_at_ms: int
    earliest_ms: int
    latest_ms: int | None = None


class MachineStateEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """How the device's machine is, said when it changes and kept on the broker.

    `regime` is the operating point while running, from 0; `sensors` names only those that are not ok; `measured_at_ms`
    is the reading that it is true for.
    """

    state: MachineState
    maturity: Maturity
    measured_at_ms: int
    at_ms: int
    regime: int | None = None
    sensors: dict[str, SensorState] = msgspec.field(default_factory=dict)
    remaining: Remaining | None = None
    model: ModelRef | None = None
