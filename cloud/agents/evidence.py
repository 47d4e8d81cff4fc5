"""From what a detector found to the event that says it."""

from __future__ import annotations

from cloud.agents.assets import Asset
from contract.events import AnomalyDetectedEvent, Evidence, Phase, Readings, SensorEvidence, Severity, Window
from contract.identity import digest_id
from detection.detector import Change
from detection.explain import Explanation


def anomaly_event(asset: Asset, block: Readings, change: Change, now_ms: int) -> AnomalyDetectedEvent:
    """The event for `change`, found in `block`; the same rows judged again give the same ids."""
    return AnomalyDetectedEvent(
        site=asset.site,
        device=asset.device,
        anomaly_id=digest_id(asset.site, asset.device, change.since_ms),
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
        evidence=_evidence(change.explanation),
        new_level=change.new_level,
        replayed=block.replayed,
        traced=block.traced,
    )


def _evidence(explanation: Explanation) -> Evidence:
    return Evidence(
        sensors=[
            SensorEvidence(
                name=sensor.name,
                unit=sensor.unit,
                share=sensor.share,
                seen=sensor.seen,
                expected=sensor.expected,
                expected_low=sensor.expected_low,
                expected_high=sensor.expected_high,
            )
            for sensor in explanation.sensors
        ],
        sentence=dict(explanation.sentence),
        window=Window(measured_at_ms=list(explanation.window_ms), series=dict(explanation.window)),
    )
