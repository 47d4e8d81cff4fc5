"""What becomes of a sensor's readings until somebody can judge them: uneven times, gaps, and single wild values.

A pure function of seed and time, like the machine itself. The rates are round figures of what plants live with where no
source is named; each is a daily nuisance, none is a fault of the machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.metrics import COLUMN, METRICS, Rows, rounded
from edge.noise import BLOCK, Stream, chance
from edge.schedule import DAY_S

# When within its second a device measures: half way, give or take what a loaded scheduler and Wi-Fi do to it (ms).
PHASE_MS, JITTER_MS, MOST_JITTER_MS = 500, 20.0, 250.0
# One reading in a thousand is not taken (the controller was busy), and once a day one sensor's bus times out for some
# seconds.
MISSED = 1e-3
SILENT_A_DAY, SILENT_S = 1.0, (5, 60)
# Once a day or two the device restarts or loses its link for longer than it remembers: mostly a minute, ten at most.
LOST_A_DAY, LOST_S, MOST_LOST_S = 0.7, 60.0, 600.0
# One value in a hundred thousand is wild, about one a day and sensor: contactors and glitches put it anywhere in the
# sensor's range; a DS18B20 that was reset reads its power-on value (Maxim data sheet).
WILD = 1e-5
POWER_ON_C = 85.0


class Arrived(NamedTuple):
    """n readings: times (n, epoch ms, ascending), values (n, 8; NaN: not there), and which of the seconds each was."""

    times_ms: NDArray[np.int64]
    values: Rows
    second: NDArray[np.int64]


def arrived(seed: int, first_s: int, rows: Rows) -> Arrived:
    """What arrives of one row a second from `first_s`, shape (n, 8)."""
    count = len(rows)
    dice = _dice(seed, first_s, count)
    values = rows.copy()
    wild = dice[:, 1:9] < WILD
    values[wild] = _wild(dice[:, 1:9] / WILD)[wild]
    values = rounded(values)
    taken = dice[:, 0] >= MISSED
    for day in range(first_s // DAY_S, (first_s + count - 1) // DAY_S + 1):
        draw = chance(seed, Stream.LINK, day)
        _lose(draw, taken, day * DAY_S - first_s)
        _silence(draw, values, day * DAY_S - first_s)
    second = np.flatnonzero(taken)
    return Arrived(_times_ms(dice[:, 9], first_s)[second], values[second], second)


def _dice(seed: int, first_s: int, count: int) -> NDArray[np.float64]:
    """Ten even chances a second, 0 to 1: whether it is taken, whether each value is wild, and when it is taken."""
    blocks = range(first_s // BLOCK, (first_s + count - 1) // BLOCK + 1)
    whole = np.concatenate([chance(seed, Stream.ARRIVAL, block).random((BLOCK, 10)) for block in blocks])
    return whole[first_s % BLOCK : first_s % BLOCK + count]


def _wild(share: NDArray[np.float64]) -> Rows:
    """Anywhere in the range, by these shares of it, 0 to 1."""
    low, high = (np.array([getattr(metric, end) for metric in METRICS]) for end in ("low", "high"))
    values = low + np.clip(share, 0.0, 1.0) * (high - low)
    values[:, COLUMN.fluid_temperature] = POWER_ON_C
    return np.asarray(values)


def _lose(draw: np.random.Generator, taken: NDArray[np.bool_], midnight: int) -> None:
    for _ in range(draw.poisson(LOST_A_DAY)):
        begin = midnight + int(draw.integers(DAY_S))
        end = begin + int(min(draw.exponential(LOST_S), MOST_LOST_S)) + 1
        taken[max(begin, 0) : max(end, 0)] = False


def _silence(draw: np.random.Generator, values: Rows, midnight: int) -> None:
    for _ in range(draw.poisson(SILENT_A_DAY)):
        begin, lasts, column = midnight + int(draw.integers(DAY_S)), int(draw.integers(*SILENT_S)), draw.integers(8)
        values[max(begin, 0) : max(begin + lasts, 0), column] = np.nan


def _times_ms(share: NDArray[np.float64], first_s: int) -> NDArray[np.int64]:
    """Logistic jitter, bell-shaped with long tails, of that standard deviation, by these shares, 0 to 1."""
    scale = JITTER_MS * np.sqrt(3.0) / np.pi
    odds = np.clip(share, 1e-9, 1.0 - 1e-9)
    jitter = np.clip(scale * np.log(odds / (1.0 - odds)), -MOST_JITTER_MS, MOST_JITTER_MS)
    seconds = first_s + np.arange(len(share), dtype=np.int64)
    return np.asarray(1000 * seconds + PHASE_MS + np.round(jitter).astype(np.int64))
