"""How strict the detector is: the few numbers a person may turn, each with its reason."""

from __future__ import annotations

import msgspec

from detection.errors import ModelError

_WIDEST = 10.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The detector's operating point. Durations in milliseconds of the data's own time, never of a wall clock."""

    # A person is told about shifts that last: the mean of 20 rows (20 s at 1 Hz) has a quarter of a row's noise, and
    # with `min_duration_ms` on top an alarm is still out within half a minute. The benchmark's setting is 10.
    window: int = 20
    # After half an hour of learning the limit is this many times the largest score seen in healthy running, less the
    # more was seen. 1.5 is the benchmark's operating point (5.6 false alarms per healthy hour: fine for a score, too
    # many for a person); 2.5 left 1.6 before `min_duration_ms`.
    sensitivity: float = 2.5
    # What the last third of healthy running shows that the first two thirds have not, it will show again, and a little
    # more: no limit is below this many times the largest answer there.
    margin: float = 1.2
    # A valve that is operated or a pump that catches its breath passes within seconds.
    min_duration_ms: int = 10_000
    # Back for half a minute at 1 Hz: shorter, and a score that hovers at the limit mails twice.
    clear_rows: int = 30
    # Back means clearly inside, or, after a large excursion, settled at less than a third of it, and never while it is
    # still critical.
    clear_below: float = 0.7
    clear_share: float = 0.3
    # The centre follows healthy running with this time constant: ten minutes of rows at 1 Hz keep up with the warm-up
    # of a machine; 120 rows absorbed slowly growing faults.
    follow_rows: int = 600
    # Twice the limit is five times what healthy running ever showed.
    critical: float = 2.0

    def check(self) -> None:
        """Raises: ModelError for settings that no detector can work with."""
        if not 2 <= self.window <= 60:
            raise ModelError(f"the window must be 2 to 60 rows, this one is {self.window}")
        if not (self.sensitivity >= 1 and self.critical >= 1):
            raise ModelError("sensitivity and critical must be 1 or more: the limit cannot lie inside healthy running")
        if not 0 <= self.margin <= _WIDEST:
            raise ModelError(f"margin must be 0 to {_WIDEST:.0f}, this one is {self.margin}")
        if self.min_duration_ms < 0 or self.clear_rows < 1 or self.follow_rows < 1:
            raise ModelError("min_duration_ms must be 0 or more, clear_rows and follow_rows 1 or more")
        if not (0 < self.clear_below <= 1 and 0 <= self.clear_share < 1):
            raise ModelError("clear_below must be above 0 and at most 1, clear_share at least 0 and below 1")
