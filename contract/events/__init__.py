"""What the agents tell each other and the world: frozen, typed, with deterministic ids.

All times are UTC epoch milliseconds: `measured_at_ms` by the device's clock, every other by ours.
"""

from __future__ import annotations

from contract.events.agents import AgentState, AgentStatus
from contract.events.anomalies import AlarmKind, AnomalyDetectedEvent, Phase, Severity
from contract.events.drift import ChannelDrift, InputDriftedEvent
from contract.events.event import SCHEMA_VERSION, Event
from contract.events.evidence import Cause, Evidence, SensorEvidence, Window
from contract.events.hops import HopEvent
from contract.events.machines import MachineState, MachineStateEvent, Maturity, Remaining, SensorState
from contract.events.models import ModelPromotedEvent, ModelRef, ModelRefusedEvent, ModelRole
from contract.events.notifications import Delivery, NotificationSentEvent
from contract.events.readings import ReadingRejectedEvent, Readings, SensorReadingIngestedEvent, ValidatedDataEvent
from contract.events.storage import StoredEvent, Watermark

__all__ = [
    "SCHEMA_VERSION",
    "AgentState",
    "AgentStatus",
    "AlarmKind",
    "AnomalyDetectedEvent",
    "Cause",
    "ChannelDrift",
    "Delivery",
    "Event",
    "Evidence",
    "HopEvent",
    "InputDriftedEvent",
    "MachineState",
    "MachineStateEvent",
    "Maturity",
    "ModelPromotedEvent",
    "ModelRef",
    "ModelRefusedEvent",
    "ModelRole",
    "NotificationSentEvent",
    "Phase",
    "ReadingRejectedEvent",
    "Readings",
    "Remaining",
    "SensorEvidence",
    "SensorReadingIngestedEvent",
    "SensorState",
    "Severity",
    "StoredEvent",
    "ValidatedDataEvent",
    "Watermark",
    "Window",
]
