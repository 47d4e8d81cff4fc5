"""Machines of all sorts and what may happen to them, at random, for tests that compare two ways of judging."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detection.fit import fit
from detection.model import Model
from detection.rows import Floats, Ints
from tests.support.machines import METRICS, START_MS, healthy, times

_LEARNED = 1800
AFTER_MS = START_MS + 10_000_000


class Kind(NamedTuple):
    """A learned machine, whether it has a second speed, and how many channels it has."""

    model: Model
    speeds: int
    channels: int


class Story(NamedTuple):
    """What one machine measured: times (n) with holes and late rows, values (n, k) with faults and silence."""

    kind: Kind
    times: Ints
    values: Floats


def running(rows: int, channels: int, seed: int) -> Floats:
    """Healthy values (rows, channels): four-channel machines side by side."""
    parts = [healthy(rows, seed=seed + part) for part in range(-(-channels // 4))]
    return np.concatenate(parts, axis=1)[:, :channels]


def names(channels: int) -> list[str]:
    """As many metrics."""
    return [METRICS[at] if at < len(METRICS) else f"{METRICS[at % 4]}_{at // 4}" for at in range(channels)]


def kinds() -> list[Kind]:
    """One, four and twelve channels; one that also runs slower, and whose temperature returns slowly."""
    plain = [Kind(_learned(running(_LEARNED, k, seed=1)), 1, k) for k in (1, 4, 12)]
    values = running(2 * _LEARNED, 4, seed=2)
    for start in (400, 1200, 2000, 2800):
        slower(values, start, start + 400)
    return [*plain, Kind(_learned(values), 2, 4)]


def slower(values: Floats, start: int, stop: int) -> None:
    """Run at another speed from one row to another."""
    values[start:stop, :3] *= [0.6, 0.5, 0.64]


def story(kind: Kind, rows: int, seed: int) -> Story:
    """What happens to a machine in so many rows."""
    rng = np.random.default_rng(seed)
    values = running(rows, kind.channels, seed=seed % 1000 + 10)
    deviation = np.asarray(kind.model.deviation)

    def some(longest: int) -> slice:
        start = int(rng.integers(0, rows))
        return slice(start, start + int(rng.integers(1, longest)))

    if kind.speeds > 1 and rng.random() < 0.6:
        part = some(300)
        slower(values, part.start, part.stop)
    for _ in range(int(rng.integers(0, 3))):
        channel = int(rng.integers(0, kind.channels))
        values[some(200), channel] += rng.normal(0, 12) * deviation[channel]
    if rng.random() < 0.3:
        values[some(120), : max(kind.channels - 1, 1)] *= 0.01
    if rng.random() < 0.3:
        part, channel = some(100), int(rng.integers(0, kind.channels))
        values[part, channel] = values[part.start, channel]
    if rng.random() < 0.3:
        values[some(150), int(rng.integers(0, kind.channels))] = np.nan
    values[rng.random(values.shape) < rng.choice([0.0, 0.0, 0.003, 0.2])] = np.nan
    steps = np.full(rows, 1000)
    if rng.random() < 0.6:
        steps = rng.choice([1000, 2000, 0, -1500, 60_000], rows, p=[0.98, 0.014, 0.002, 0.002, 0.002])
    return Story(kind, AFTER_MS + np.cumsum(steps), values)


def _learned(values: Floats) -> Model:
    return fit(values, times(len(values)), names(values.shape[1])).model
