"""A challenger in the shadow of the champion: scores the same readings after it, is counted, and never heard."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec
import numpy as np

from contract.events import ModelPromotedEvent, ModelRef, Readings
from detection.detector import Detector
from detection.drift_watch import Flags
from detection.rows import Floats, Ints

log = logging.getLogger("ronda.agents.detection")

_HOUR_MS = 3_600_000
# Between two looks at the bus, for all challengers together: a champion's alarm is never later by more than this.
BUDGET_S = 0.02


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """An hour, or a part of one: how many readings both judged, and how many each found beyond the limit."""

    site: str
    device: str
    version: str
    champion: str
    from_ms: int
    through_ms: int
    rows: int
    beyond_both: int
    beyond_champion: int
    beyond_challenger: int


class Budget:
    """The time that challengers may take until `renew`; measured, since a model is slower than we expect."""

    def __init__(self, stopwatch: Callable[[], float] = time.perf_counter, seconds: float = BUDGET_S) -> None:
        self._stopwatch = stopwatch
        self._seconds = seconds
        self._left = seconds

    def renew(self) -> None:
        """A new batch."""
        self._left = self._seconds

    @property
    def is_spent(self) -> bool:
        """Is there no time left?"""
        return self._left <= 0

    def spend(self, work: Callable[[], None]) -> None:
        """Do it and pay for it."""
        began = self._stopwatch()
        try:
            work()
        finally:
            self._left -= self._stopwatch() - began


class Shadow:
    """The challenger of one machine. It begins anew with each start of the process: no reading is owed to it.

    `skipped` counts the readings that it was not asked about because the champion had work to do.
    """

    def __init__(self, promotion: ModelPromotedEvent, detector: Detector) -> None:
        self.promotion = promotion
        self.skipped = 0
        self._detector = detector
        self._open: Tally | None = None
        self._finished: list[Tally] = []
        self._failed = False

    @property
    def model(self) -> ModelRef:
        """Which model it is."""
        return self.promotion.model

    def judge(self, block: Readings, champion: ModelRef, scores: Floats, budget: Budget | None) -> None:
        """Score `block` beside the champion's `scores` (n), unless the budget is spent or there is none; never raises.

        Without a budget the champion itself is behind.
        """
        if self._failed:
            return
        if budget is None or budget.is_spent:
            self.skipped += len(block)
            return
        try:
            budget.spend(lambda: self._compare(block, champion, scores))
        except Exception:
            # Whatever a candidate stumbles over, nobody may notice but whoever reads the log.
            self._failed = True
            log.exception("shadow.failed", extra={"asset": f"{block.site}/{block.device}", "version": self._version})

    def finished(self) -> list[Tally]:
        """The hours that ended since the last call."""
        done, self._finished = self._finished, []
        return done

    def close(self) -> list[Tally]:
        """The hours that ended, and the open one as far as it went: the champion changes, or the process ends."""
        if self._open is not None:
            self._finish(self._open)
            self._open = None
        return self.finished()

    def _finish(self, tally: Tally) -> None:
        self._finished.append(tally)
        fields = {"asset": f"{tally.site}/{tally.device}", "version": tally.version, "skipped": self.skipped}
        log.info("shadow.counted", extra=fields | {"rows": tally.rows})

    @property
    def _version(self) -> str:
        return self.promotion.model.version

    def _compare(self, block: Readings, champion: ModelRef, scores: Floats) -> None:
        self._detector.process(block.measured_at_ms, block.values, block.metrics)
        own = self._detector.scores
        both = ~(np.isnan(scores) | np.isnan(own))
        times = np.asarray(block.measured_at_ms)[both]
        for hour in np.unique(times // _HOUR_MS).tolist():
            here = times // _HOUR_MS == hour
            self._count(block, champion.version, times[here], scores[both][here] > 1, own[both][here] > 1)

    def _count(self, block: Readings, champion: str, times: Ints, theirs: Flags, ours: Flags) -> None:
        first, last = int(times.min()), int(times.max())
        tally = self._open
        if tally is not None and (tally.champion, tally.from_ms // _HOUR_MS) != (champion, first // _HOUR_MS):
            self._finish(tally)
            tally = None
        so_far = tally or Tally(
            site=block.site, device=block.device, version=self._version, champion=champion,
            from_ms=first, through_ms=last, rows=0, beyond_both=0, beyond_champion=0, beyond_challenger=0,
        )  # fmt: skip
        self._open = msgspec.structs.replace(
            so_far,
            through_ms=max(so_far.through_ms, last),
            rows=so_far.rows + len(times),
            beyond_both=so_far.beyond_both + int((theirs & ours).sum()),
            beyond_champion=so_far.beyond_champion + int(theirs.sum()),
            beyond_challenger=so_far.beyond_challenger + int(ours.sum()),
        )
