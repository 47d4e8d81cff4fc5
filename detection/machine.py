"""Everything that is watched of one machine as one: what it learned, the limits set for it, and where it drifts.

For an agent it stands where a `Detector` stood: `Machine.begun(model, limits=…, state=…)` in the place of
`Detector(model, state=…)`, then `process`, `score`, `scores`, `active` and `state` as before, and `limited_by` at each
look at the store. A change says by its `alarm` what it is about: who asks whether the machine is healthy as learned
looks at those of `Alarm.ANOMALY` alone. All else there is to ask a detector is asked of `detector`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Self

import msgspec
import numpy as np

from detection.change import Change
from detection.detector import Detector, Running
from detection.limits import GAP_MS, Limit, LimitWatch
from detection.model import Maturity, Model
from detection.rows import Columns, Floats, Ints
from detection.sealed import opened, sealed
from detection.trend import Remaining
from detection.trend_watch import TrendWatch

# Told from a detector's own state, which begins with a checksum.
_MARK = b"ronda-machine-2\n"


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The states of the parts; None: there is none, as in what a program left that knew a detector alone."""

    detector: bytes | None = None
    limits: bytes | None = None
    trend: bytes | None = None


class Machine:
    """A detector with the watches beside it; either of those may be missing.

    `units`, `device` and `tz` are those of the sentences; `limited_by` needs them to begin watches of its own.
    """

    def __init__(
        self,
        detector: Detector,
        limits: LimitWatch | None = None,
        trend: TrendWatch | None = None,
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
    ) -> None:
        self.detector = detector
        self.limits = limits
        self.trend = trend
        self._device, self._units, self._tz = device, units or {}, tz

    @classmethod
    def begun(
        cls,
        model: Model,
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
        limits: Iterable[Limit] = (),
        state: bytes | None = None,
    ) -> Self:
        """A machine judged by `model` and `limits`, going on from `state`: its own, or that of a detector alone.

        Raises: DetectionError for a state that is none.
        """
        left = _Envelope() if state is None else _opened(state)
        detector = Detector(model, device=device, units=units, tz=tz, state=left.detector)
        machine = cls(detector, device=device, units=units, tz=tz)
        machine._watch(list(limits), left.limits, left.trend)
        return machine

    @property
    def model(self) -> Model:
        """What it was learned from."""
        return self.detector.model

    @property
    def score(self) -> float:
        """The detector's last score: 1 is the limit of what was learned."""
        return self.detector.score

    @property
    def scores(self) -> Floats:
        """The detector's scores (n) of the last block."""
        return self.detector.scores

    @property
    def active(self) -> bool:
        """Is the machine outside what was learned? Limits and trends say for themselves whether they have an alarm."""
        return self.detector.active

    @property
    def running(self) -> Running:
        """Off, starting or running."""
        return self.detector.running

    @property
    def regime(self) -> int | None:
        """The operating point it runs at."""
        return self.detector.regime

    @property
    def maturity(self) -> Maturity:
        """How far the model can be trusted."""
        return self.detector.maturity

    @property
    def remaining(self) -> Remaining | None:
        """When the first limit will be crossed, if the data support saying so."""
        return None if self.trend is None else self.trend.remaining

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Judge n readings in the order given, as `Detector.process` does; all changes in the order of their rows."""
        times, columns = np.asarray(measured_at_ms, dtype=np.int64), np.asarray(values, dtype=np.float64)
        return self.beside(self.detector.process(times, columns, metrics), times, columns, metrics)

    def beside(
        self, found: Sequence[Change], measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]
    ) -> list[Change]:
        """What the limits and the trend add to what the detector `found` of the same readings."""
        times, columns = np.asarray(measured_at_ms, dtype=np.int64), np.asarray(values, dtype=np.float64)
        changes = list(found)
        if self.limits is not None:
            changes += self.limits.process(times, columns, metrics)
        if self.trend is not None:
            # What a machine shows while it stands still or starts is no step of its wear.
            judged = np.flatnonzero(~np.isnan(self.detector.scores))
            found = self.trend.process(times[judged], columns[:, judged], metrics)
            changes += [msgspec.structs.replace(change, row=int(judged[change.row])) for change in found]
        return sorted(changes, key=lambda change: change.row)

    def limited_by(self, limits: Iterable[Limit]) -> None:
        """From the next reading on watch these limits; what is known of those that stay is kept.

        Free when nothing changed, so it may be called at every look at the store. An alarm of limits that were taken
        away is cleared with the next reading.
        """
        wanted = list(limits)
        if wanted == ([] if self.limits is None else self.limits.limits):
            return
        self._watch(wanted, _state_of(self.limits), _state_of(self.trend))

    def state(self) -> bytes:
        """All that the next reading's judgement depends on."""
        return _MARK + sealed(
            _Envelope(
                detector=self.detector.state(),
                limits=_state_of(self.limits),
                trend=_state_of(self.trend),
            )
        )

    def _watch(self, limits: list[Limit], limit_state: bytes | None, trend_state: bytes | None) -> None:
        # A machine that measures rarely has longer steps between two readings that belong together.
        gap_ms = max(GAP_MS, self.model.settings.window * self.model.cadence_ms)
        if limits or limit_state is not None:
            self.limits = LimitWatch(
                limits, device=self._device, units=self._units, tz=self._tz, gap_ms=gap_ms, state=limit_state
            )
        if limits or trend_state is not None:
            self.trend = TrendWatch(limits, device=self._device, units=self._units, tz=self._tz, state=trend_state)


def _state_of(watch: LimitWatch | TrendWatch | None) -> bytes | None:
    return None if watch is None else watch.state()


def _opened(state: bytes) -> _Envelope:
    if not state.startswith(_MARK):
        return _Envelope(detector=state)
    return opened(state[len(_MARK) :], _Envelope, "a machine's state")
