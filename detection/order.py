"""Which rows of a block are late, where the data has holes, and where rows are to be judged apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from detection.rows import Ints
from detection.sensors import Flags


class Order(NamedTuple):
    """Places in a block (n) of the rows that are not late; between two of the stretches lies a hole."""

    stretches: Sequence[Ints]
    late: int
    position_ms: int | None


def not_late(times: Ints, position_ms: int | None) -> tuple[Ints, int | None]:
    """Places (m) in a block measured at `times` (n) that are not older than what came before, and the last time."""
    if not len(times):
        return np.arange(0), position_ms
    first = int(times[0]) if position_ms is None else position_ms
    front = np.maximum.accumulate(np.concatenate(([first], times)))
    return np.flatnonzero(times >= front[:-1]), int(front[-1])


def in_order(times: Ints, position_ms: int | None, gap_ms: int) -> Order:
    """Of a block measured at `times` (n), the last row before it at `position_ms`; longer than `gap_ms` is a hole."""
    places = np.arange(len(times))
    if not len(times):
        return Order([], 0, position_ms)
    position = int(times[0]) if position_ms is None else position_ms
    steps = np.diff(times, prepend=position)
    if steps.min() >= 0 and steps.max() <= gap_ms:
        return Order([places], 0, int(times[-1]))
    kept, last = not_late(times, position)
    holes = np.flatnonzero(np.diff(times[kept], prepend=position) > gap_ms)
    return Order(np.split(kept, holes), len(times) - len(kept), last)


def cuts(codes: Ints, stuck: Flags, stuck_before: Collection[int]) -> list[int]:
    """Where rows without a hole are cut, their begin and end included.

    Before another operating point (`codes`, n), and before each row where a channel begins or ceases to stand still
    (`stuck`, n × k; those before the first row by their numbers).
    """
    found = {0, len(codes)}
    if len(codes) > 1:
        found |= set((np.flatnonzero(np.diff(codes)) + 1).tolist())
    if stuck_before or stuck.any():
        before = np.zeros(stuck.shape[1], dtype=bool)
        before[list(stuck_before)] = True
        turned = (np.concatenate((before[None, :], stuck[:-1])) != stuck).any(axis=1)
        found |= set(np.flatnonzero(turned).tolist())
    return sorted(found)
