"""Findings of an alarm, put together by hand: each sensor so many half-widths of its healthy range away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detection.explain import Findings, Sensor
from detection.kinds import Kind

UNITS = {
    "vibration_de_rms_g": "g",
    "vibration_nde_rms_g": "g",
    "current_a": "A",
    "pressure_bar": "bar",
    "suction_pressure_bar": "bar",
    "motor_temperature_c": "°C",
    "fluid_temperature_c": "°C",
    "voltage_v": "V",
    "flow_lpm": "l/min",
    "speed_rpm": "rpm",
}
# Of a pump at work everything is measured and nothing has moved.
CALM = dict.fromkeys(UNITS, 0.0)


def found(
    moved: Mapping[str, float],
    *,
    kind: Kind = Kind.LEVEL,
    ratios: Mapping[str, float] | None = None,
    window: Mapping[str, Sequence[float | None]] | None = None,
) -> Findings:
    """Sensors by metric, `moved` from an expected 100 in half-widths of 2; their shares follow from that."""
    total = sum(away * away for away in moved.values()) or 1.0
    sensors = [
        Sensor(
            name=metric,
            unit=UNITS.get(metric, ""),
            share=away * away / total,
            seen=100.0 + 2.0 * away,
            expected=100.0,
            expected_low=98.0,
            expected_high=102.0,
            ratio=(ratios or {}).get(metric),
        )
        for metric, away in sorted(moved.items(), key=lambda item: -abs(item[1]))
    ]
    return Findings(
        kind=kind, sensors=sensors, window_ms=[], window={name: list(line) for name, line in (window or {}).items()}
    )


def pump(kind: Kind = Kind.LEVEL, *, ratios: Mapping[str, float] | None = None, **moved: float) -> Findings:
    """A pump with every sensor, of which these have moved: `pump(vibration_de_rms_g=9.0)`."""
    return found({**CALM, **moved}, kind=kind, ratios=ratios)
