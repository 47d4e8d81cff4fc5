"""One judged machine: what watches it, up to where it has judged, and whether it must first read what it missed."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np

from contract.events import AlarmKind, ModelPromotedEvent, ModelRef, Readings
from contract.identity import UNCOUNTED_BOOT
from detection.change import Change
from detection.drift_watch import DriftWatch, Flags, Hour
from detection.episode import Phase
from detection.kinds import Alarm
from detection.machine import Machine
from detection.rows import Floats


class Position(NamedTuple):
    """The last reading that was judged, in event-time order; boot and seq are empty where only the time is known."""

    measured_at_ms: int
    boot: str = ""
    seq: int = -1


class Judged(NamedTuple):
    """What a block led to."""

    changes: list[Change]
    hours: list[Hour]


class Asset:
    """A machine with a model. `behind` names the reading up to which it must catch up from the store, if any.

    `carried`: the kinds of alarm that it goes on with, until the store was asked which are open there; None after that.
    """

    def __init__(
        self,
        promotion: ModelPromotedEvent,
        machine: Machine,
        position: Position,
        inputs: DriftWatch,
        carried: frozenset[AlarmKind] | None = None,
    ) -> None:
        self.site = promotion.site
        self.device = promotion.device
        self.promotion = promotion
        self.machine = machine
        self.position = position
        self.inputs = inputs
        self.carried = carried
        self.behind: Position | None = None
        self.changed = True
        # By a clock that nobody sets; not yet.
        self.kept_at_ms = -math.inf

    @property
    def model(self) -> ModelRef:
        """Which model judges."""
        return self.promotion.model

    def follows(self, block: Readings) -> bool:
        """Is this block the next one: nothing of its boot, from the position or the beginning on, left out to its end?

        A block is joined of several messages, and a broker that was killed may have lost one between them.
        """
        if block.boot == UNCOUNTED_BOOT:
            return True
        following = self.position.seq + 1 if block.boot == self.position.boot else 0
        for seq in sorted(block.seq):
            if seq > following:
                return False
            following = max(following, seq + 1)
        return True

    def fall_behind(self, block: Readings) -> None:
        """From now on read from the store, up to this block's end at least."""
        self.behind = max(self.behind or Position(0), last_of(block))

    def come_level(self) -> None:
        """Go on with what comes by itself once everything up to there was judged."""
        if self.behind is not None and self.position >= self.behind:
            self.behind = None

    def judge(self, block: Readings) -> Judged:
        """Let the machine's watches judge `block`, which is later than the position, and move the position."""
        ill = self.machine.active
        changes = self.machine.process(block.measured_at_ms, block.values, block.metrics)
        counts = _healthy(self.machine.scores, changes, ill=ill)
        times, values = np.asarray(block.measured_at_ms), np.asarray(block.values, dtype=np.float64)
        hours = self.inputs.process(times, values, block.metrics, counts)
        self.position = max(self.position, last_of(block))
        self.changed = True
        return Judged(changes, hours)


def last_of(block: Readings) -> Position:
    """The block's latest reading in event-time order."""
    return max(Position(at, block.boot, seq) for at, seq in zip(block.measured_at_ms, block.seq, strict=True))


def not_again(block: Readings, position: Position) -> list[int]:
    """The rows of `block` in the order of time, without those of the instant of `position` that were judged already.

    Earlier ones the detector leaves out by itself, by their time alone.
    """
    rows = [
        row
        for row, (at, seq) in enumerate(zip(block.measured_at_ms, block.seq, strict=True))
        if at != position.measured_at_ms or (block.boot, seq) > position[1:]
    ]
    return sorted(rows, key=block.measured_at_ms.__getitem__)


def only(block: Readings, rows: list[int]) -> Readings:
    """These rows of a block, in this order."""
    return msgspec.structs.replace(
        block,
        seq=[block.seq[row] for row in rows],
        measured_at_ms=[block.measured_at_ms[row] for row in rows],
        values=[[column[row] for row in rows] for column in block.values],
    )


def _healthy(scores: Floats, changes: list[Change], *, ill: bool) -> Flags:
    """Which rows were judged, found within the limit, and not a part of an alarm; `ill`: there was one before them."""
    alarmed = np.full(len(scores), ill)
    for change in changes:
        if change.alarm is Alarm.ANOMALY and change.phase is not Phase.UPDATED:
            alarmed[change.row :] = change.phase is Phase.RAISED
    return np.asarray(~alarmed & (scores <= 1))
