"""What the simulated machine sounds like: each fault at its own multiple of the speed, as loud as its slider says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from detection.detector import Detector
from detection.fit import fit
from detection.model import Model
from tests.wokwi.chip import WOKWI, Chip, Samples, features, powered

SECONDS = 4
# Of a window of 4 s: lines stand 0.25 Hz apart.
BIN_HZ = 1 / SECONDS
HEALTHY_1X_G, HEALTHY_2X_G = 0.05, 0.015
BALLS_PER_TURN = 3.585
METRICS = (
    "vibration_rms_g",
    "vibration_x_rms_g",
    "vibration_y_rms_g",
    "vibration_z_rms_g",
    "vibration_peak_g",
    "vibration_crest",
)
LEARNED_S, SILENT_S, FAULTY_S = 300, 300, 30
T0_MS = 1_763_800_000_000


def measured(chip: Chip, **sliders: float) -> Samples:
    """Four seconds with the sliders so."""
    chip.slide(**sliders)
    driver = chip.sampling()
    return chip.seconds(SECONDS, driver.lsb_per_g)


def amplitudes(signal: np.ndarray) -> np.ndarray:
    """The amplitude in g at each multiple of BIN_HZ; a Hann window keeps what is between two lines in its place."""
    weights = np.hanning(signal.size)
    return np.abs(np.fft.rfft((signal - signal.mean()) * weights)) * 2 / weights.sum()


def line(signal: np.ndarray, hz: float) -> float:
    """The amplitude of the line at `hz`, which may be a bin off."""
    at = round(hz / BIN_HZ)
    return float(amplitudes(signal)[at - 1 : at + 2].max())


@pytest.mark.parametrize("rpm", [600, 1480, 1500, 2930, 3000])
def test_the_highest_line_is_the_shafts_own(chip: Chip, rpm: int) -> None:
    window = measured(chip, rpm=rpm, imbalance=30)
    for axis in (0, 1):
        assert np.argmax(amplitudes(window[:, axis])) * BIN_HZ == pytest.approx(rpm / 60, abs=BIN_HZ)


def test_a_healthy_machine_has_its_two_small_lines_and_gravity(chip: Chip) -> None:
    window = measured(chip)
    assert line(window[:, 0], 25) == pytest.approx(HEALTHY_1X_G, rel=0.1)
    assert line(window[:, 0], 50) == pytest.approx(HEALTHY_2X_G, rel=0.1)
    assert window.mean(axis=0) == pytest.approx([0, 0, 1], abs=0.003)


def test_the_force_of_an_imbalance_grows_with_the_square_of_the_speed(chip: Chip) -> None:
    slow, fast = (line(measured(chip, rpm=rpm, imbalance=40)[:, 1], rpm / 60) for rpm in (1000, 2000))
    assert fast / slow == pytest.approx(4, rel=0.1)


def test_an_imbalance_goes_round_and_does_not_push_upwards(chip: Chip) -> None:
    window = measured(chip, imbalance=80)
    x, y, z = (line(window[:, axis], 25) for axis in range(3))
    assert x == pytest.approx(y, rel=0.05)
    assert z < x / 5
    # A quarter of a turn apart they are uncorrelated.
    assert abs(np.corrcoef(window[:, 0], window[:, 1])[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("fault", "order", "axis", "full_g"),
    [
        ("imbalance", 1, 0, 1.0),
        ("misalignment", 2, 2, 0.6),
        ("looseness", 3, 0, 0.5 / 3),
        ("bearing", BALLS_PER_TURN, 0, None),
    ],
)
def test_a_fault_stands_at_its_multiple_and_grows_with_its_slider(
    chip: Chip, fault: str, order: float, axis: int, full_g: float | None
) -> None:
    levels = [line(measured(chip, **{fault: severity})[:, axis], order * 25) for severity in (0, 25, 50, 100)]
    assert levels[0] < levels[1] / 3
    assert levels[2] == pytest.approx(2 * levels[1], rel=0.15)
    assert levels[3] == pytest.approx(2 * levels[2], rel=0.15)
    if full_g:
        assert levels[3] == pytest.approx(full_g, rel=0.15)


def test_a_worn_bearing_knocks_at_the_multiples_of_its_balls(chip: Chip) -> None:
    healthy, worn = measured(chip), measured(chip, bearing=60)
    balls_hz = BALLS_PER_TURN * 25
    assert all(line(worn[:, 0], n * balls_hz) > 20 * line(healthy[:, 0], n * balls_hz) for n in (1, 2, 3))
    assert features(worn)[5] > features(healthy)[5]
    assert worn.mean(axis=0) == pytest.approx([0, 0, 1], abs=0.02)


def test_a_change_of_speed_does_not_tear_the_signal(chip: Chip) -> None:
    chip.slide(imbalance=100)
    driver = chip.sampling()
    parts = []
    for rpm in (1500, 1520, 1540):
        chip.slide(rpm=rpm)
        parts.append(chip.seconds(1, driver.lsb_per_g))
    steps = np.abs(np.diff(np.concatenate(parts)[:, 1]))
    # A sine of 1.1 g at 26 Hz changes by 0.18 g in a millisecond at most; the rest is noise.
    assert steps.max() < 0.35


def seconds_of(chip: Chip, count: int, lsb_per_g: int) -> np.ndarray:
    """What the firmware would report, a row a second."""
    return np.array([features(window) for window in np.split(chip.seconds(count, lsb_per_g), count)])


def times(first_s: int, count: int) -> list[int]:
    return [T0_MS + 1000 * (first_s + n) for n in range(count)]


@pytest.fixture(scope="module")
def learned(binary: Path) -> tuple[Model, np.ndarray]:
    """A model of five healthy minutes, and ten of them."""
    with powered(binary) as chip:
        rows = seconds_of(chip, LEARNED_S + SILENT_S, chip.sampling().lsb_per_g)
    return fit(rows[:LEARNED_S], times(0, LEARNED_S), list(METRICS)).model, rows


def test_a_healthy_machine_raises_nothing(learned: tuple[Model, np.ndarray]) -> None:
    model, rows = learned
    assert Detector(model).process(times(0, len(rows)), rows.T, METRICS) == []


@pytest.mark.parametrize("fault", ["imbalance", "misalignment", "looseness", "bearing"])
def test_each_slider_at_30_per_cent_is_raised_within_20_s(
    chip: Chip, learned: tuple[Model, np.ndarray], fault: str
) -> None:
    model, healthy = learned
    detector, now = Detector(model), len(healthy)
    assert detector.process(times(0, now), healthy.T, METRICS) == []
    chip.slide(**{fault: 30})
    rows = seconds_of(chip, FAULTY_S, chip.sampling().lsb_per_g)
    changes = detector.process(times(now, FAULTY_S), rows.T, METRICS)
    assert [change.phase for change in changes] == ["raised"]
    assert changes[0].row < 20


def test_the_scenarios_levels_are_those_of_the_chip(chip: Chip) -> None:
    """The first digits of the RMS that the scenario waits for, as the firmware writes it."""
    steps = yaml.safe_load((WOKWI / "bearing.test.yaml").read_text())["steps"]
    lsb_per_g, waited = chip.sampling().lsb_per_g, []
    for step in steps:
        if "set-control" in step:
            chip.slide(**{step["set-control"]["control"]: step["set-control"]["value"]})
        if step.get("wait-serial", "").startswith("vibration_rms_g="):
            # The window in which the slider was moved is neither one nor the other.
            rows = seconds_of(chip, 11, lsb_per_g)[1:]
            waited.append(step["wait-serial"])
            assert all(f"vibration_rms_g={row[0]:.4g}".startswith(waited[-1]) for row in rows)
    assert len(set(waited)) == 2
    assert len(waited) == 3
