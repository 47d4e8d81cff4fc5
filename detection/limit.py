"""A limit that people or a standard set for one sensor, and whether its readings are beyond it for good."""

from __future__ import annotations

import math

import msgspec

from detection.episode import Severity
from detection.errors import DetectionError

USER = "user"
# Back inside means inside by a hundredth of the limit, for as long as it took to raise: a reading that trembles at the
# limit is one alarm. Not more, since a voltage that may not fall below 220 is back at 223 and never reaches 231.
DEAD_BAND = 0.01


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """`low` and `high` are in the unit of the metric, at least one is there; the limit itself is still allowed.

    `source` is `user` or `iso20816`, `label` what people call it (for a standard, see `detection.iso20816.label`).
    """

    metric: str
    low: float | None = None
    high: float | None = None
    severity: Severity = Severity.WARNING
    source: str = USER
    label: str = ""

    def check(self) -> None:
        """Raises: DetectionError for a limit that nothing could keep, or that says nothing."""
        given = [bound for bound in (self.low, self.high) if bound is not None]
        if not given:
            raise DetectionError(f"{self.metric}: a limit needs low or high, or both")
        if not all(map(math.isfinite, given)):
            raise DetectionError(f"{self.metric}: low and high must be finite numbers")
        if len(given) == 2 and given[0] >= given[1]:
            raise DetectionError(f"{self.metric}: low {given[0]:g} must be below high {given[1]:g}")

    def excess(self, value: float) -> float:
        """How far beyond, as a share of the limit (of the width between two); 0 at the limit, negative inside."""
        above = -math.inf if self.high is None else value - self.high
        below = -math.inf if self.low is None else self.low - value
        return max(above, below) / self._scale

    def bound(self, value: float) -> float:
        """Which of the two limits `value` is beyond or nearer to."""
        if self.low is None or self.high is None:
            return self.high if self.low is None and self.high is not None else self.low or 0.0
        return self.high if self.high - value <= value - self.low else self.low

    @property
    def _scale(self) -> float:
        if self.low is not None and self.high is not None:
            return self.high - self.low
        # A limit of zero has no size of its own: one unit stands in.
        return abs(self.low or self.high or 0.0) or 1.0


class Crossing(msgspec.Struct):
    """One limit's alarm: beyond since `since_ms`, `open` once that lasted, back since `calm_ms`; in the data's time."""

    open: bool = False
    since_ms: int | None = None
    calm_ms: int | None = None
    judged_ms: int | None = None

    def step(self, excess: float, at_ms: int, *, lasting_ms: int, gap_ms: int) -> None:
        """One reading; NaN is no judgement, and what was about to open or close starts again after a hole."""
        if math.isnan(excess):
            return
        if self.judged_ms is not None and at_ms - self.judged_ms > gap_ms:
            self.calm_ms = None
            self.since_ms = self.since_ms if self.open else None
        self.judged_ms = at_ms
        if self.open:
            self._inside(excess, at_ms, lasting_ms)
        else:
            self._outside(excess, at_ms, lasting_ms)

    def _outside(self, excess: float, at_ms: int, lasting_ms: int) -> None:
        if excess <= 0:
            self.since_ms = None
            return
        self.since_ms = at_ms if self.since_ms is None else self.since_ms
        self.open = at_ms - self.since_ms >= lasting_ms

    def _inside(self, excess: float, at_ms: int, lasting_ms: int) -> None:
        if excess > -DEAD_BAND:
            self.calm_ms = None
            return
        self.calm_ms = at_ms if self.calm_ms is None else self.calm_ms
        if at_ms - self.calm_ms >= lasting_ms:
            self.open, self.since_ms, self.calm_ms = False, None, None
