"""A machine with an injected fault of known truth: what it measures, and which alarms there must be."""

from __future__ import annotations

from typing import NamedTuple

from cloud.storage.promotions import Promotion
from detection.fit import Fitted, fit
from tests.support.machines import METRICS, healthy, times

LEARNED = 900
# Each cycle in seconds of the machine's own time: sick, then well for longer than it takes to be cleared.
CYCLE, SICK = 200, 40
# The first fault comes after this, when the detector has warmed up.
WELL_AT_FIRST = 120
_ROWS = 200_000


class Window(NamedTuple):
    """One injected fault: an alarm must be raised in it, once. Numbers count the machine's rows, times are its own."""

    first_row: int
    from_ms: int
    through_ms: int


class Course:
    """The machine's life from `start_ms` on, one row a second, the same for every run."""

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self._values = healthy(_ROWS, seed=2)
        for first in range(WELL_AT_FIRST, _ROWS, CYCLE):
            self._values[first : first + SICK, 0] *= 3

    def row(self, number: int) -> tuple[int, list[float]]:
        """(measured at, values in the order of METRICS)."""
        return self.start_ms + 1000 * number, [float(value) for value in self._values[number]]

    def windows(self, rows: int) -> list[Window]:
        """The faults that lie whole within the first `rows` rows, cleared ones only."""
        firsts = range(WELL_AT_FIRST, max(WELL_AT_FIRST, rows - CYCLE), CYCLE)
        return [Window(first, self.start_ms + 1000 * first, self.start_ms + 1000 * (first + SICK)) for first in firsts]

    def learned(self) -> Fitted:
        """From the time before."""
        return fit(healthy(LEARNED), times(LEARNED, start_ms=self._learned_from_ms), METRICS)

    def promotion(self, site: str, device: str, sha256: str, uri: str) -> Promotion:
        """That model, to be had at `uri`, in force."""
        return Promotion(
            site=site, device=device, version="1", name=f"ronda.{site}.{device}", run_id="faults",
            sha256=sha256, data_hash="", artifact_uri=uri, rows=LEARNED,
            trained_from_ms=self._learned_from_ms, trained_through_ms=self.start_ms - 1000,
            promoted_at_ms=self.start_ms,
        )  # fmt: skip

    @property
    def _learned_from_ms(self) -> int:
        return self.start_ms - 1000 * LEARNED


__all__ = ["METRICS", "Course", "Window"]
