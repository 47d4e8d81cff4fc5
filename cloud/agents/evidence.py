"""From what a detector found to the event that says it."""

from __future__ import annotations

import msgspec

from cloud.agents.assets import Asset
from contract.events import (
    AlarmKind,
    AnomalyDetectedEvent,
    Cause,
    Evidence,
    Phase,
    Readings,
    SensorEvidence,
    Severity,
    Window,
)
from contract.identity import digest_id
from detection.change import Change
from detection.classifier import Classifier
from detection.explain import Explanation
from detection.naming import cause_of


def anomaly_event(
    asset: Asset,
    block: Readings,
    change: Change,
    now_ms: int,
    *,
    classifier: Classifier | None = None,
    classifier_name: str = "",
) -> AnomalyDetectedEvent:
    """The event for `change`, found in `block`; the same rows judged again give the same ids.

    `classifier` is the one of the asset's site, if it has one; `classifier_name` says which, with its version.
    """
    kind = AlarmKind(change.alarm)
    return AnomalyDetectedEvent(
        site=asset.site,
        device=asset.device,
        anomaly_id=_anomaly_id(asset, change.since_ms, kind),
        kind=kind,
        phase=Phase(change.phase),
        severity=Severity(change.severity),
        score=round(change.score, 4),
        peak_score=round(change.peak_score, 4),
        since_ms=change.since_ms,
        measured_at_ms=block.measured_at_ms[change.row],
        detected_at_ms=now_ms,
        boot=block.boot,
        seq=block.seq[change.row],
        correlation_id=block.correlation_id_of(change.row),
        model=asset.model,
        evidence=_evidence(change.explanation, classifier, classifier_name),
        new_level=change.new_level,
        replayed=block.replayed,
        traced=block.traced,
    )


def _anomaly_id(asset: Asset, since_ms: int, kind: AlarmKind) -> str:
    """One per machine and beginning; of two kinds that begin with the same reading each has its own."""
    parts = () if kind is AlarmKind.ANOMALY else (kind,)
    return digest_id(asset.site, asset.device, since_ms, *parts)


def _evidence(explanation: Explanation, classifier: Classifier | None, classifier_name: str) -> Evidence:
    return Evidence(
        question=explanation.kind,
        cause=_cause(explanation, classifier, classifier_name),
        sensors=[SensorEvidence(**msgspec.structs.asdict(sensor)) for sensor in explanation.sensors],
        sentence=dict(explanation.sentence),
        window=Window(measured_at_ms=list(explanation.window_ms), series=dict(explanation.window)),
    )


def _cause(explanation: Explanation, classifier: Classifier | None, classifier_name: str) -> Cause | None:
    cause = cause_of(explanation, classifier, classifier_name)
    return None if cause is None else Cause(**msgspec.structs.asdict(cause))
