"""A machine left its normal state, is still outside, or came back."""

from __future__ import annotations

import enum

from contract.events.event import Event
from contract.events.evidence import Evidence
from contract.events.models import ModelRef
from contract.identity import digest_id


class Phase(enum.StrEnum):
    """Where an anomaly is in its life."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Severity(enum.StrEnum):
    """How far outside: warning beyond the limit, critical beyond twice the limit."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlarmKind(enum.StrEnum):
    """What kind of alarm: the machine is not as usual, beyond a limit set for it, a sensor that lies, a slow drift.

    `silent` is about no reading but about none: a device, or a whole site, was not heard for longer than it ever is.
    """

    ANOMALY = "anomaly"
    LIMIT = "limit"
    SENSOR = "sensor"
    TREND = "trend"
    SILENT = "silent"


class AnomalyDetectedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A device left its normal state (raised), is still outside (updated), or came back (cleared).

    `score` 1 is the limit; `since_ms` is the device's time at which it went outside, `measured_at_ms` that of the
    reading that decided this phase, whose identity is (`boot`, `seq`). `new_level`: cleared because it settled at
    another level, which a person should verify. `begun_anew`: cleared because the device is judged anew from here on,
    not because it came back; what is still outside is raised again. `judged_by`: `gateway` where a site's
    gateway judged while the cloud was away, said on the site's own broker alone; else empty.
    """

    anomaly_id: str
    phase: Phase
    severity: Severity
    score: float
    peak_score: float
    since_ms: int
    measured_at_ms: int
    detected_at_ms: int
    boot: str
    seq: int
    correlation_id: str
    model: ModelRef
    evidence: Evidence
    kind: AlarmKind = AlarmKind.ANOMALY
    new_level: bool = False
    begun_anew: bool = False
    judged_by: str = ""
    replayed: bool = False
    traced: bool = False

    @property
    def id(self) -> str:
        """One per anomaly, phase and deciding reading."""
        return digest_id(self.anomaly_id, self.phase, self.boot, self.seq)
