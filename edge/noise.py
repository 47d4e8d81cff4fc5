"""Noise that is a pure function of seed and time: the same second always reads the same, in whatever slice it is asked.

A device that restarts in the middle of its back-fill must send the same values under the same identities. So white
noise comes from a counter-based generator (Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11)
whose counter is the time, and coloured noise is computed by whole blocks of time, never from where somebody began.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Seconds per block: long enough that a block costs nothing per second, short enough to make one at once.
BLOCK = 256


def white(seed: int, block: int, channels: int) -> NDArray[np.float64]:
    """Independent standard normal values, shape (BLOCK, channels), of the `block`-th 256 seconds since 1970."""
    # The block stands in the counter's second word, so that drawing (which counts in the first) never meets another.
    generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, block, 0, 0]))
    return generator.standard_normal((BLOCK, channels))


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
