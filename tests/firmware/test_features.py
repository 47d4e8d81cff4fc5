"""RMS, peak and crest factor on the device are those of NumPy, on the same samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.firmware.esp32 import LSB_PER_G, Samples, as_sampled, ask, turning

CHANCE = np.random.default_rng(7)
STILL = np.tile([0.0, 0.0, 1.0], (1000, 1))
SPIKE = STILL + np.eye(1000, 3, -400) * 1.5
CASES = {
    "a turning shaft": turning(),
    "another speed": turning(2930.0),
    "noise": CHANCE.normal(scale=0.4, size=(1000, 3)),
    "one spike": SPIKE,
    "beyond the range": np.clip(turning() * 8, -2, 2),
    "the faintest movement": STILL + CHANCE.integers(-1, 2, size=(1000, 3)) / LSB_PER_G,
    "a sensor on its side": turning()[:, [2, 0, 1]],
    "upside down": -turning(),
    "from stop to stop": np.where(CHANCE.random((1000, 3)) < 0.9, 2.0, -2.0),
    "a short window": turning()[:10],
}


def expected(samples: Samples) -> tuple[float, ...]:
    """The definitions, in full precision."""
    seen = np.frombuffer(as_sampled(samples), ">i2").reshape(-1, 3) / LSB_PER_G
    moved = seen - seen.mean(axis=0)
    length = np.sqrt((moved**2).sum(axis=1))
    rms = float(np.sqrt((length**2).mean()))
    return rms, *moved.std(axis=0).tolist(), float(length.max()), float(length.max()) / rms


def on_the_device(samples: Samples, folder: Path) -> list[float | None]:
    path = folder / "raw"
    path.write_bytes(as_sampled(samples))
    found: list[float | None] = ask("features.py", path, LSB_PER_G, cwd=folder)
    return found


@pytest.mark.parametrize("samples", CASES.values(), ids=CASES)
def test_the_features_are_those_of_numpy(samples: Samples, tmp_path: Path) -> None:
    found, wanted = on_the_device(samples, tmp_path), expected(samples)
    assert found[:4] == pytest.approx(wanted[:4], rel=1e-6)
    # Which sample is farthest is asked of whole numbers: where two are equally far, half a step may be between them.
    assert found[4] == pytest.approx(wanted[4], abs=0.5 / LSB_PER_G)
    assert found[5] == pytest.approx(wanted[5], rel=0.5 / LSB_PER_G / wanted[4])


def test_a_machine_at_rest_has_no_crest(tmp_path: Path) -> None:
    assert on_the_device(STILL, tmp_path) == [0, 0, 0, 0, 0, None]


def test_turning_the_sensor_changes_neither_rms_nor_peak(tmp_path: Path) -> None:
    angle = np.pi / 5
    turned = turning() @ np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    before, after = on_the_device(turning(), tmp_path), on_the_device(turned, tmp_path)
    assert [after[0], after[4], after[5]] == pytest.approx([before[0], before[4], before[5]], rel=1e-3)
