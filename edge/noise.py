"""Noise that is a pure function of seed and time: the same second always reads the same, in whatever slice it is asked.

A device that restarts in the middle of its back-fill must send the same values under the same identities. So white
noise comes from a counter-based generator (Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11)
whose counter is the time, and coloured noise is computed by whole blocks of time, never from where somebody began.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

# Seconds per block: long enough that a block costs nothing per second, short enough to make one at once.
BLOCK = 256
# Values drawn between two independent ones have on average three quarters of their variance (the mean of
# w² + (1 − w)² over w = (1 − cos πx) / 2).
_BETWEEN = 0.75


class Stream(enum.IntEnum):
    """What chance decides about one machine; what one of them draws never moves another."""

    SENSORS = 0
    CHARACTER = 1
    SCHEDULE = 2
    DEMAND = 3
    GRID = 4
    WEATHER = 5
    FLOOR = 6
    LINK = 7
    ARRIVAL = 8


def chance(seed: int, stream: Stream, counter: int = 0) -> np.random.Generator:
    """Chance for one stream of one machine (`seed` below 2^63) at one count, such as a block or a day."""
    # The count stands in the second word of Philox' counter, so that drawing (which counts in the first) never meets
    # another; the stream stands in the upper half of its key.
    return np.random.Generator(np.random.Philox(key=seed + (stream << 64), counter=[0, counter, 0, 0]))


def white(seed: int, block: int, channels: int, stream: Stream = Stream.SENSORS) -> NDArray[np.float64]:
    """Independent standard normal values, shape (BLOCK, channels), of the `block`-th 256 seconds since 1970."""
    return chance(seed, stream, block).standard_normal((BLOCK, channels))


def stretch(seed: int, stream: Stream, first_s: int, count: int, channels: int) -> NDArray[np.float64]:
    """White noise of the `count` seconds from `first_s`, shape (count, channels)."""
    blocks = range(first_s // BLOCK, (first_s + count - 1) // BLOCK + 1)
    whole = np.concatenate([white(seed, block, channels, stream) for block in blocks])
    return whole[first_s % BLOCK : first_s % BLOCK + count]


def wander(seed: int, stream: Stream, at_s: NDArray[np.float64], every_s: float) -> NDArray[np.float64]:
    """Slow noise of unit variance: a new independent value every `every_s` seconds, and a smooth way between two."""
    knot = np.floor(at_s / every_s).astype(np.int64)
    first, last = int(knot[0]) // BLOCK, (int(knot[-1]) + 1) // BLOCK
    values = np.concatenate([white(seed, block, 1, stream)[:, 0] for block in range(first, last + 1)])
    way = 0.5 - 0.5 * np.cos(np.pi * (at_s / every_s - knot))
    here = knot - first * BLOCK
    return np.asarray((values[here] * (1.0 - way) + values[here + 1] * way) / np.sqrt(_BETWEEN))


def coloured(before: NDArray[np.float64], now: NDArray[np.float64], tau_s: float) -> NDArray[np.float64]:
    """First-order autoregressive noise of unit variance for one block, from its white noise and the block before.

    `tau_s` is the correlation time, at most 32 s: the memory of an AR(1) process is cut after 8 τ, where 0.03 % of it
    is left, so that two blocks are enough.
    """
    memory = int(8 * tau_s)
    if not 0 < memory <= BLOCK:
        raise ValueError(f"tau_s must be above 0 and at most {BLOCK / 8:.0f} s, this one is {tau_s}")
    kernel = np.exp(-np.arange(memory) / tau_s)
    driven = np.concatenate([before[BLOCK - memory + 1 :], now])
    return np.convolve(driven, kernel / np.sqrt(np.sum(kernel**2)), mode="valid")
