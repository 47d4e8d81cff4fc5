"""One row, or a few, of each of many machines at once: what a plant sends every second.

Most machines are healthy and settled; their windows are moved on and asked side by side, in the same operations on
longer rows. All others go their own way, and what a score means is decided machine by machine. The answers are to the
bit those of each detector's own `process`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from detection.change import Change
from detection.detector import Detector
from detection.errors import DetectionError
from detection.machine import Machine
from detection.rows import Columns, Floats, Ints, in_steps
from detection.verdicts import Verdicts, unjudged_row
from detection.windows import Normals, Windows, advance, answered

# A longer block is judged faster by itself.
_FEW_ROWS = 8
# What is known of so many machines stays in a processor's own cache from one step to the next. A thousand at once took
# nearly twice as long as one after the other.
_SIDE_BY_SIDE = 20


class Block(NamedTuple):
    """Readings of one machine as `Detector.process` takes them."""

    measured_at_ms: Sequence[int] | Ints
    values: Columns
    metrics: Sequence[str]


class _Waiting(NamedTuple):
    """One machine's row (k) that its windows are ready for."""

    detector: Detector
    windows: Windows
    values: Floats
    at_ms: int
    found: Verdicts


def process_many(detectors: Sequence[Detector], blocks: Sequence[Block]) -> list[list[Change]]:
    """Each detector's changes, as its own `process` would give; `scores` and `turns` are set as by that.

    Every detector stands once in the list. Raises: DetectionError before anything is judged when columns do not fit.
    """
    if len(detectors) != len(blocks) or len({id(detector) for detector in detectors}) != len(detectors):
        raise DetectionError(f"{len(blocks)} blocks do not fit {len(detectors)} detectors, each of which comes once")
    ready = [detector.checked(*block) for detector, block in zip(detectors, blocks, strict=True)]
    found: list[list[Verdicts]] = [[] for _ in detectors]
    for row in range(_FEW_ROWS):
        these = [at for at, (times, _) in enumerate(ready) if row < len(times) <= _FEW_ROWS]
        if not these:
            break
        here = slice(row, row + 1)
        for start in range(0, len(these), _SIDE_BY_SIDE):
            some = these[start : start + _SIDE_BY_SIDE]
            verdicts = _judge_row([(detectors[at], ready[at][0][here], ready[at][1][here]) for at in some])
            for at, each in zip(some, verdicts, strict=True):
                found[at].append(each)
    return [
        detector.conclude(_joined(rows)) if rows else detector.process(*block)
        for detector, block, rows in zip(detectors, blocks, found, strict=True)
    ]


def process_machines(machines: Sequence[Machine], blocks: Sequence[Block]) -> list[list[Change]]:
    """The same for machines with their limits and trends: each one's changes, as its own `process` would give."""
    changes = process_many([machine.detector for machine in machines], blocks)
    return [machine.beside(found, *block) for machine, found, block in zip(machines, changes, blocks, strict=True)]


def _joined(rows: list[Verdicts]) -> Verdicts:
    """What was found of the rows of a block, one after the other, as of the block."""
    if len(rows) == 1:
        return rows[0]
    return Verdicts(
        [msgspec.structs.replace(change, row=at) for at, found in enumerate(rows) for change in found.changes],
        np.concatenate([found.scores for found in rows]),
        [at for at, found in enumerate(rows) if found.turns],
    )


def _judge_row(given: Sequence[tuple[Detector, Ints, Floats]]) -> list[Verdicts]:
    """Judge one row of each machine: its time (1) and values (1, k)."""
    out = []
    waiting: dict[tuple[int, int, int], list[_Waiting]] = defaultdict(list)
    for detector, times, values in given:
        found = unjudged_row()
        out.append(found)
        if detector.watch_row(values, times, found):
            windows = detector.judge.steady
            if windows is None:
                detector.judge.judge_row(in_steps(values[0], detector.centre, detector.per_unit), int(times[0]), found)
            else:
                kind = windows.plan.window, windows.plan.levels, values.shape[1]
                waiting[kind].append(_Waiting(detector, windows, values[0], int(times[0]), found))
    for group in waiting.values():
        _judge_side_by_side(group)
    return out


def _judge_side_by_side(group: Sequence[_Waiting]) -> None:
    """Judge one row of each of M machines of k channels whose windows have the same plan."""
    machines, channels, plan = len(group), len(group[0].values), group[0].windows.plan
    steps = in_steps(
        np.concatenate([each.values for each in group]),
        np.concatenate([each.detector.centre for each in group]),
        np.concatenate([each.detector.per_unit for each in group]),
    )
    seen = []
    for each, row in zip(group, steps.reshape(machines, channels), strict=True):
        ring = each.detector.judge.append(row, each.at_ms)
        seen.append(each.windows.seen(ring.table, ring.end))
    rows = np.concatenate(seen, axis=1).astype(np.float64)
    sums = np.concatenate([each.windows.sums for each in group], axis=1)
    normals = _side_by_side([each.windows.normals for each in group], channels)
    advance(plan, rows, normals, sums)
    apart = sums.reshape(-1, machines, channels)
    found = answered(plan, normals, apart)
    lengths = np.sqrt(found.squares)
    scores = np.maximum(np.maximum(lengths[1:-1].min(axis=0), found.roughness.max(axis=-1)), lengths[0])
    for each, own, score, change in zip(
        group, apart.swapaxes(0, 1), scores.tolist(), lengths[-1].tolist(), strict=True
    ):
        each.windows.told(own, score, change)
        each.detector.judge.settle(score, 0, each.found)


def _side_by_side(normals: Sequence[Normals], channels: int) -> Normals:
    """The normals of M machines: those for the rows as long rows (M * k), those for the answers with an axis (M)."""
    roots = np.concatenate([each.roots for each in normals], axis=1)
    return Normals(
        reference=np.concatenate([each.reference for each in normals], axis=1),
        low=np.concatenate([each.low for each in normals], axis=1),
        high=np.concatenate([each.high for each in normals], axis=1),
        scale=normals[0].scale[:, None, :],
        rough_limit=np.concatenate([each.rough_limit for each in normals]).reshape(-1, channels),
        roots=roots.reshape(len(roots), -1, channels, channels),
    )
