"""One judged machine: its detector, up to where it has judged, and whether it must first read what it missed."""

from __future__ import annotations

from typing import NamedTuple

from contract.events import ModelPromotedEvent, Readings
from contract.identity import UNCOUNTED_BOOT
from detection.detector import Change, Detector


class Position(NamedTuple):
    """The last reading that was judged, in event-time order; boot and seq are empty where only the time is known."""

    measured_at_ms: int
    boot: str = ""
    seq: int = -1


class Asset:
    """A machine with a model. `behind` names the reading up to which it must catch up from the store, if any."""

    def __init__(self, promotion: ModelPromotedEvent, detector: Detector, position: Position) -> None:
        self.site = promotion.site
        self.device = promotion.device
        self.model = promotion.model
        self.promoted_at_ms = promotion.promoted_at_ms
        self.detector = detector
        self.position = position
        self.behind: Position | None = None
        self.changed = True
        self.kept_at_ms = 0.0

    def follows(self, block: Readings) -> bool:
        """Is this block the next one: nothing of the same boot, nor the beginning of a new one, left out before it?"""
        if block.boot == UNCOUNTED_BOOT or not self.position.boot:
            return True
        return block.seq[0] <= (self.position.seq + 1 if block.boot == self.position.boot else 0)

    def fall_behind(self, block: Readings) -> None:
        """From now on read from the store, up to this block's end at least."""
        self.behind = max(self.behind or Position(0), last_of(block))

    def come_level(self) -> None:
        """Go on with what comes by itself once everything up to there was judged."""
        if self.behind is not None and self.position >= self.behind:
            self.behind = None

    def judge(self, block: Readings) -> list[Change]:
        """Let the detector judge `block`, which skips what is late by its time, and move the position."""
        changes = self.detector.process(block.measured_at_ms, block.values, block.metrics)
        self.position = max(self.position, last_of(block))
        self.changed = True
        return changes


def last_of(block: Readings) -> Position:
    """The block's latest reading in event-time order."""
    return max(Position(at, block.boot, seq) for at, seq in zip(block.measured_at_ms, block.seq, strict=True))
