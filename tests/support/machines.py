"""Machines that run healthily, made up: noise, a slow drift, a joint load; and their detectors."""

from __future__ import annotations

import numpy as np

from detection.change import Change
from detection.detector import Detector
from detection.fit import fit
from detection.model import Model, Normal
from detection.rows import Floats, Ints
from detection.settings import Settings

METRICS = ["vibration_de_rms_g", "current_a", "pressure_bar", "motor_temperature_c"]
UNITS = {"vibration_de_rms_g": "g", "current_a": "A", "pressure_bar": "bar", "motor_temperature_c": "°C"}
CENTRES = np.array([0.2, 4.0, 3.0, 60.0])
DEVIATIONS = np.array([0.01, 0.1, 0.05, 0.5])
START_MS = 1_763_800_000_000


def times(rows: int, *, start_ms: int = START_MS, step_ms: int = 1000) -> Ints:
    """Evenly spaced times."""
    return start_ms + step_ms * np.arange(rows, dtype=np.int64)


def healthy(rows: int, seed: int = 1) -> Floats:
    """Values (rows, 4): white vibration, current and pressure that follow one load, a temperature that drifts."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((rows, 4))
    noise[:, 2] = 0.6 * noise[:, 1] + 0.8 * noise[:, 2]
    noise[:, 3] = np.sin(np.arange(rows) / 150) * 1.3 + 0.2 * noise[:, 3]
    return CENTRES + DEVIATIONS * noise


def detector(settings: Settings | None = None, *, learn: int = 900, seed: int = 1) -> Detector:
    """One that learned from `learn` healthy rows, which end right before START_MS + learn seconds."""
    fitted = fit(healthy(learn, seed), times(learn), METRICS, settings)
    return Detector(fitted.model, device="pump-07", units=UNITS)


def only(model: Model) -> Normal:
    """What is normal at the only operating point of a machine."""
    (normal,) = model.normals
    assert normal is not None
    return normal


def play(watcher: Detector, values: Floats, *, start_ms: int = START_MS + 900_000, step_ms: int = 1000) -> list[Change]:
    """Let it judge `values` as one block."""
    return watcher.process(times(len(values), start_ms=start_ms, step_ms=step_ms), values.T, METRICS)
