"""Anomaly events as the detector makes them: a pump whose drive-end vibration leaves its expected range."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec

from contract.events import (
    AnomalyDetectedEvent,
    Evidence,
    ModelRef,
    Phase,
    SensorEvidence,
    Severity,
    Window,
)

# 17 November 2025, 16:54:00 UTC: 13:54 in São Paulo.
RAISED_AT_MS = 1_763_398_440_000
MINUTE_MS = 60_000

SENSORS = (
    ("vibration_de_rms_g", "g", 0.71, 0.38, 0.215, 0.19, 0.24),
    ("motor_temperature_c", "°C", 0.11, 58.9, 58.2, 57.0, 59.4),
    ("current_a", "A", 0.09, 32.4, 31.5, 30.6, 32.3),
    ("pressure_bar", "bar", 0.06, 4.18, 4.2, 4.08, 4.32),
    ("flow_lpm", "L/min", 0.03, 1170.0, 1180.0, 1150.0, 1210.0),
)


def sensor(name: str, unit: str, share: float, seen: float, expected: float, low: float, high: float) -> SensorEvidence:
    """One sensor's evidence, positionally."""
    return SensorEvidence(
        name=name, unit=unit, share=share, seen=seen, expected=expected, expected_low=low, expected_high=high
    )


def window(minutes: float = 60, name: str = "vibration_de_rms_g", *, rows: int = 120, seed: int = 7) -> Window:
    """A seeded series that ends at `RAISED_AT_MS`: healthy for three quarters, then rising to 0.38."""
    rng = random.Random(seed)
    step = minutes * MINUTE_MS / (rows - 1)
    at = [round(RAISED_AT_MS - (rows - 1 - row) * step) for row in range(rows)]
    turn = rows * 3 // 4
    values = [
        0.215 + rng.gauss(0, 0.008) + (0.165 * math.sqrt((row - turn) / (rows - turn)) if row >= turn else 0)
        for row in range(rows)
    ]
    return Window(measured_at_ms=at, series={name: [*values[:-1], 0.38]})


def anomaly(**changes: Any) -> AnomalyDetectedEvent:
    """A raised critical anomaly of plant-1/pump-07; `changes` replace fields."""
    event = AnomalyDetectedEvent(
        site="plant-1",
        device="pump-07",
        anomaly_id="a1b2c3d4e5f60718293a4b5c6d7e8f90",
        phase=Phase.RAISED,
        severity=Severity.CRITICAL,
        score=2.62,
        peak_score=2.62,
        since_ms=RAISED_AT_MS - 7 * MINUTE_MS,
        measured_at_ms=RAISED_AT_MS,
        detected_at_ms=RAISED_AT_MS + 40,
        boot="9f2c41d07be3a655",
        seq=88214,
        correlation_id="plant-1.pump-07.9f2c41d07be3a655.88214",
        model=ModelRef(
            name="plant-1.pump-07", version="14", run_id="4e1c9ab07d3f4e1c9ab07d3f4e1c9ab0", sha256="0" * 64
        ),
        evidence=Evidence(
            sensors=[sensor(*values) for values in SENSORS],
            sentence={
                "en": "Since 13:47, the vibration at the drive end has been 1.8 times what pump-07 usually shows.",
                "pt": "Desde as 13:47, a vibração no lado acoplado está 1,8 vezes o que pump-07 mostra normalmente.",
            },
            window=window(),
        ),
    )
    return msgspec.structs.replace(event, **changes)
