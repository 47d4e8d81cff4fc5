"""Watches one machine's fixed limits: one alarm for all of them, raised after they were crossed for a while.

Row by row, in blocks or restored in between: the same answer. It needs no model and learns nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo

import msgspec
import numpy as np

from detection.change import Change
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.explain import Explanation
from detection.kinds import Alarm
from detection.limit import Crossing, Limit
from detection.limit_evidence import Picture, bounded, explanation
from detection.limit_words import Told
from detection.order import not_late
from detection.rows import Columns, Floats, Ints, arranged, readings
from detection.sealed import numbers, opened, sealed

__all__ = ["GAP_MS", "Limit", "LimitWatch"]

FORMAT = 1
# As the detector: a valve that is operated passes within seconds. Also how long a reading must be back.
MIN_DURATION_MS = 10_000
# After a minute of silence nobody knows whether the limit was crossed all along. A device that measures less often
# than that needs a longer one.
GAP_MS = 60_000
# What a broken sensor makes up is still a score that can be told.
_HIGHEST_SCORE = 1e6


class _Alarm(msgspec.Struct):
    """The open alarm; `told` are the limits that were said to be crossed since it was raised."""

    since_ms: int
    severity: Severity
    peak: float
    told: list[Limit]
    explanation: Explanation


class _State(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    crossings: list[tuple[Limit, Crossing]]
    alarm: _Alarm | None
    position_ms: int | None
    metrics: list[str]
    times: bytes
    rows: bytes


class LimitWatch:
    """Watches `limits`, going on from `state`; a limit that the state does not know begins afresh.

    An open alarm whose limits were all taken away is cleared with the next reading. `units` (metric → unit), `device`
    and `tz` are for the sentence. Readings more than `gap_ms` apart do not count as one stretch of time.

    Raises: DetectionError for a limit that says nothing, and for a state that is none.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
        gap_ms: int = GAP_MS,
        min_duration_ms: int = MIN_DURATION_MS,
        state: bytes | None = None,
    ) -> None:
        self.limits = list(limits)
        for limit in self.limits:
            limit.check()
        self._words = Told(device=device, units=units or {}, tz=tz)
        self._gap_ms, self._lasting_ms = gap_ms, min_duration_ms
        self._metrics = list(dict.fromkeys(limit.metric for limit in self.limits))
        self._columns = np.array([self._metrics.index(limit.metric) for limit in self.limits], dtype=np.intp)
        self._low = np.array([-math.inf if limit.low is None else limit.low for limit in self.limits])
        self._high = np.array([math.inf if limit.high is None else limit.high for limit in self.limits])
        self._crossings = [Crossing() for _ in self.limits]
        self._alarm: _Alarm | None = None
        self._position_ms: int | None = None
        self._picture = Picture(self._metrics)
        if state is not None:
            self._resume(_decoded(state))

    @property
    def active(self) -> bool:
        """Is a limit crossed, for long enough to say so?"""
        return self._alarm is not None

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Judge n readings in the order given: times (n), and per metric a column of n values; late ones are skipped.

        NaN or None is a value that is missing. Raises: DetectionError when the columns do not fit.
        """
        times, columns = readings(measured_at_ms, values, metrics)
        if not (self.limits or self._alarm) or not len(times):
            return []
        places, self._position_ms = not_late(times, self._position_ms)
        rows = bounded(arranged(columns.T, metrics, self._metrics)[places])
        changes = [] if self._is_quiet(rows) else self._judge(rows, times, places)
        self._note(rows, times[places])
        return changes

    def state(self) -> bytes:
        """All that the next reading's judgement depends on: 3 kB for eight sensors, 6 kB with an open alarm."""
        return sealed(
            _State(
                crossings=list(zip(self.limits, self._crossings, strict=True)),
                alarm=self._alarm,
                position_ms=self._position_ms,
                metrics=self._metrics,
                times=self._picture.times.astype("<i8").tobytes(),
                rows=self._picture.rows.astype("<f4").tobytes(),
            )
        )

    def _resume(self, state: _State) -> None:
        known = dict(state.crossings)
        self._crossings = [known.get(limit) or Crossing() for limit in self.limits]
        self._alarm, self._position_ms = state.alarm, state.position_ms
        count = len(state.times) // 8
        times = numbers(state.times, "<i8", count).astype(np.int64)
        rows = numbers(state.rows, "<f4", count, len(state.metrics)).astype(np.float64)
        self._picture = self._picture.extended(arranged(rows, state.metrics, self._metrics), times)

    def _is_quiet(self, rows: Floats) -> bool:
        """Is nothing crossed, nor was it a moment ago, so that there is nothing to decide?"""
        if self._alarm is not None or any(crossing.since_ms is not None for crossing in self._crossings):
            return False
        seen = rows[:, self._columns]
        return not ((seen > self._high) | (seen < self._low)).any()

    def _note(self, rows: Floats, times: Ints) -> None:
        """When each sensor spoke last, and what the picture shows."""
        if len(times):
            last = rows[-1].tolist()
            for column, crossing in zip(self._columns.tolist(), self._crossings, strict=True):
                spoke = [-1] if not math.isnan(last[column]) else np.flatnonzero(~np.isnan(rows[:, column]))
                crossing.judged_ms = int(times[spoke[-1]]) if len(spoke) else crossing.judged_ms
        self._picture = self._picture.extended(rows, times)

    def _judge(self, rows: Floats, times: Ints, places: Ints) -> list[Change]:
        changes, columns = [], self._columns.tolist()
        for i, place in enumerate(places.tolist()):
            row, at_ms = rows[i].tolist(), int(times[place])
            excesses = [limit.excess(row[column]) for limit, column in zip(self.limits, columns, strict=True)]
            for crossing, excess in zip(self._crossings, excesses, strict=True):
                crossing.step(excess, at_ms, lasting_ms=self._lasting_ms, gap_ms=self._gap_ms)
            phase = self._phase()
            if phase in {Phase.RAISED, Phase.UPDATED}:
                self._raise(self._picture.extended(rows[: i + 1], times[places[: i + 1]]))
            change = self._told(phase, _score(excesses), place)
            changes += [] if change is None else [change]
        return changes

    def _open(self) -> dict[Limit, int]:
        """The limits that are crossed, with since when."""
        pairs = zip(self.limits, self._crossings, strict=True)
        return {limit: crossing.since_ms or 0 for limit, crossing in pairs if crossing.open}

    def _phase(self) -> Phase | None:
        """What this row changes: another limit that is crossed is news, one of several that is back is not."""
        now = self._open()
        if self._alarm is None:
            return Phase.RAISED if now else None
        if not now:
            return Phase.CLEARED
        return Phase.UPDATED if any(limit not in self._alarm.told for limit in now) else None

    def _raise(self, picture: Picture) -> None:
        """The alarm, new or with further limits; it never gets less severe."""
        since = self._open()
        why = explanation(since, picture, self._words)
        before = self._alarm
        if before is None:
            self._alarm = _Alarm(min(since.values()), _worst(since), 0.0, list(since), why)
            return
        before.told += [limit for limit in since if limit not in before.told]
        before.severity, before.explanation = _worst(before.told), why

    def _told(self, phase: Phase | None, score: float, place: int) -> Change | None:
        """Follow the alarm to its worst; the change to tell, if there is one."""
        alarm = self._alarm
        if alarm is None:
            return None
        alarm.peak = max(alarm.peak, score)
        if phase is Phase.CLEARED:
            self._alarm = None
        if phase is None:
            return None
        return Change(
            alarm=Alarm.LIMIT,
            phase=phase,
            row=place,
            severity=alarm.severity,
            score=score,
            peak_score=alarm.peak,
            since_ms=alarm.since_ms,
            explanation=alarm.explanation,
        )


def _worst(limits: Iterable[Limit]) -> Severity:
    return Severity.CRITICAL if any(each.severity is Severity.CRITICAL for each in limits) else Severity.WARNING


def _score(excesses: Iterable[float]) -> float:
    """The reading that is furthest out: 1 is its limit, 2 a whole limit beyond."""
    known = [excess for excess in excesses if not math.isnan(excess)]
    return min(max(0.0, 1 + max(known, default=-1.0)), _HIGHEST_SCORE)


def _decoded(payload: bytes) -> _State:
    state = opened(payload, _State, "the state of watched limits")
    if state.format != FORMAT:
        raise DetectionError(f"the limits' state has format {state.format}, this program reads {FORMAT}; start afresh")
    return state
