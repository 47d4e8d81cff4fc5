"""From what a machine's watches found here to the event that says it, and that the gateway says it."""

from __future__ import annotations

import msgspec

from contract.events import (
    AlarmKind,
    AnomalyDetectedEvent,
    Cause,
    Evidence,
    ModelPromotedEvent,
    Phase,
    SensorEvidence,
    Severity,
    Window,
)
from contract.identity import digest_id, reading_id
from detection.change import Change
from detection.explain import Explanation
from detection.naming import cause_of

# Who judged, in the event; the cloud's own events do not say it.
JUDGED_BY = "gateway"


def alarm(
    promotion: ModelPromotedEvent, change: Change, identity: tuple[str, int], measured_at_ms: int, now_ms: int
) -> AnomalyDetectedEvent:
    """The event for `change`, decided by the reading `identity` (boot, seq).

    Its anomaly has the id that the cloud gives it when that finds the same beginning.
    """
    kind = AlarmKind(change.alarm)
    site, device, (boot, seq) = promotion.site, promotion.device, identity
    parts = () if kind is AlarmKind.ANOMALY else (kind,)
    return AnomalyDetectedEvent(
        site=site,
        device=device,
        anomaly_id=digest_id(site, device, change.since_ms, *parts),
        kind=kind,
        phase=Phase(change.phase),
        severity=Severity(change.severity),
        score=round(change.score, 4),
        peak_score=round(change.peak_score, 4),
        since_ms=change.since_ms,
        measured_at_ms=measured_at_ms,
        detected_at_ms=now_ms,
        boot=boot,
        seq=seq,
        correlation_id=reading_id(site, device, boot, seq),
        model=promotion.model,
        evidence=_evidence(change.explanation),
        new_level=change.new_level,
        judged_by=JUDGED_BY,
    )


def _evidence(explanation: Explanation) -> Evidence:
    cause = cause_of(explanation, None, "")
    return Evidence(
        question=explanation.kind,
        cause=None if cause is None else msgspec.convert(cause, Cause, from_attributes=True),
        sensors=[msgspec.convert(sensor, SensorEvidence, from_attributes=True) for sensor in explanation.sensors],
        sentence=dict(explanation.sentence),
        window=Window(measured_at_ms=list(explanation.window_ms), series=dict(explanation.window)),
    )
