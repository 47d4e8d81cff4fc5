"""When is a machine outside? From scores to raised, updated and cleared, row by row and in the data's own time."""

from __future__ import annotations

import enum
import math

import msgspec

from detection.settings import Settings

# While active, say so again at most once a minute of data time, and only when it grew by a quarter or spread.
_TELL_EVERY_MS = 60_000
_TELL_GROWTH = 1.25


class Phase(enum.StrEnum):
    """Where an anomaly is in its life."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Severity(enum.StrEnum):
    """How far outside: warning beyond the limit, critical beyond `Settings.critical` times the limit."""

    WARNING = "warning"
    CRITICAL = "critical"


class Episode(msgspec.Struct):
    """One machine's way out of its normal state and back. `since_ms` is when it first went outside."""

    active: bool = False
    since_ms: int | None = None
    severity: Severity = Severity.WARNING
    peak: float = 0.0
    calm_rows: int = 0
    told_ms: int = 0
    told_peak: float = 0.0

    def step(
        self,
        score: float,
        at_ms: int,
        settings: Settings,
        *,
        back: bool | None = None,
        wait_ms: int = 0,
        another: bool = False,
    ) -> Phase | None:
        """What the score of the row measured at `at_ms` changes, if anything; NaN (not judged) changes nothing.

        `back`: is what was raised over? By default when the score is clearly inside. `wait_ms`: what this kind of alarm
        has to last beyond the minimum duration. `another`: there is a second fault that nobody was told of yet.
        """
        if math.isnan(score):
            return None
        if not self.active:
            return self._outside(score, at_ms, settings, settings.min_duration_ms + wait_ms)
        over = score < settings.clear_below if back is None else back
        return self._inside(score, at_ms, settings, back=over, another=another)

    def interrupt(self) -> None:
        """The data has a hole: what was about to be raised or cleared starts again."""
        self.calm_rows = 0
        if not self.active:
            self.since_ms = None

    def _outside(self, score: float, at_ms: int, settings: Settings, lasting_ms: int) -> Phase | None:
        if score <= 1:
            self.since_ms = None
            return None
        if self.since_ms is None:
            self.since_ms, self.peak = at_ms, score
        self.peak = max(self.peak, score)
        if at_ms - self.since_ms < lasting_ms:
            return None
        self.active, self.calm_rows = True, 0
        self.severity = Severity.CRITICAL if score >= settings.critical else Severity.WARNING
        return self._tell(Phase.RAISED, at_ms)

    def _inside(self, score: float, at_ms: int, settings: Settings, *, back: bool, another: bool) -> Phase | None:
        self.peak = max(self.peak, score)
        self.calm_rows = self.calm_rows + 1 if back else 0
        if self.calm_rows >= settings.clear_rows:
            self.active = False
            return Phase.CLEARED
        if score >= settings.critical and self.severity is Severity.WARNING:
            self.severity = Severity.CRITICAL
            return self._tell(Phase.UPDATED, at_ms)
        worse = another or score >= _TELL_GROWTH * self.told_peak
        if worse and at_ms - self.told_ms >= _TELL_EVERY_MS:
            return self._tell(Phase.UPDATED, at_ms)
        return None

    def _tell(self, phase: Phase, at_ms: int) -> Phase:
        self.told_ms, self.told_peak = at_ms, self.peak
        return phase
