"""Watches whether one machine's indicators drift towards their limits, and says when they will be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo

import msgspec
import numpy as np

from detection.blocks import MINUTE_MS, Blocks, Packed
from detection.change import Change
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.explain import Explanation, Sensor
from detection.kinds import Alarm, Kind
from detection.limit import Limit
from detection.limit_evidence import bounded
from detection.limit_words import Told, drifting
from detection.order import not_late
from detection.rows import Columns, Floats, Ints, arranged, readings
from detection.sealed import opened, sealed
from detection.trend import LEAST_SPAN_MS, Remaining, Silence, remaining

FORMAT = 1
# What takes days to change is looked at once an hour.
_LOOK_EVERY_MINUTES = 60
# One look in two hundred may mistake noise for a trend, and looks an hour apart share most of their data: three in a
# row before anybody is told. Taken back after as long a silence as has to be seen before anything is said.
_LOOKS_TO_RAISE, _LOOKS_TO_CLEAR = 3, 48
# The indicators watched, in the order of their limits; each takes most of a kilobyte.
_MOST_METRICS = 8
# Points of the past in the picture of an alarm.
_DRAWN = 64


class _Course(msgspec.Struct):
    """Looks in a row that saw the trend or did not, since when it is seen, and what people were told last."""

    seen: int = 0
    unseen: int = 0
    since_ms: int = 0
    active: bool = False
    score: float = 0.0
    peak: float = 0.0
    told_ahead_ms: int = 0
    told: tuple[str, float] | None = None
    explanation: Explanation | None = None


class _State(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    blocks: Packed
    position_ms: int | None
    remaining: Remaining | None
    course: _Course


class TrendWatch:
    """Watches the metrics of `limits`, going on from `state`; a metric that the state does not know has no past yet.

    `remaining` is the next crossing of a limit that the data support, at the last look; None: silence. An alarm is
    raised when several looks in a row agree, and never more than a warning: no limit is crossed yet.

    Raises: DetectionError for a limit that says nothing, and for a state that is none.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
        state: bytes | None = None,
    ) -> None:
        self.limits = list(limits)
        for limit in self.limits:
            limit.check()
        self.remaining: Remaining | None = None
        self._bounds = {(each.metric, bound) for each in self.limits for bound in (each.low, each.high)}
        self._words = Told(device=device, units=units or {}, tz=tz)
        self._blocks = Blocks(list(dict.fromkeys(limit.metric for limit in self.limits))[:_MOST_METRICS])
        self._position_ms: int | None = None
        self._course = _Course()
        if state is not None:
            self._resume(_decoded(state))

    @property
    def active(self) -> bool:
        """Was it said that a limit will be crossed?"""
        return self._course.active

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Take in n readings in the order given: times (n), and per metric a column of n values; late ones are skipped.

        NaN or None is a value that is missing. Raises: DetectionError when the columns do not fit.
        """
        times, columns = readings(measured_at_ms, values, metrics)
        if not (self.limits or self.active) or not len(times):
            return []
        places, self._position_ms = not_late(times, self._position_ms)
        rows = bounded(arranged(columns.T, metrics, self._blocks.metrics)[places])
        changes = []
        if self._course.told is not None and self._course.told not in self._bounds and len(places):
            # The limit was taken away.
            changes = self._tell(Phase.CLEARED, int(places[0]))
        for row, minute in self._blocks.add(times[places], rows):
            # The minute that is over is looked at when the next reading shows that it is.
            if int(times[places[row]]) // MINUTE_MS // _LOOK_EVERY_MINUTES > minute // _LOOK_EVERY_MINUTES:
                changes += self._look(int(times[places[row]]), int(places[row]))
        return changes

    def state(self) -> bytes:
        """All that the next look depends on: about 1 kB a metric, and 3 kB with an open alarm."""
        return sealed(
            _State(
                blocks=self._blocks.packed(),
                position_ms=self._position_ms,
                remaining=self.remaining,
                course=self._course,
            )
        )

    def _resume(self, state: _State) -> None:
        self._blocks.resume(state.blocks)
        self._position_ms, self._course = state.position_ms, state.course
        left = state.remaining
        self.remaining = left if left is not None and (left.metric, left.limit) in self._bounds else None

    def _look(self, now_ms: int, place: int) -> list[Change]:
        found = min(self._estimates(), key=lambda each: each[0].crosses_at_ms, default=None)
        self.remaining = None if found is None else found[0]
        course = self._course
        if found is None:
            course.seen, course.unseen = 0, course.unseen + 1
            return self._tell(Phase.CLEARED, place) if course.active and course.unseen >= _LOOKS_TO_CLEAR else []
        course.seen, course.unseen = course.seen + 1, 0
        if course.seen == 1 and not course.active:
            course.since_ms, course.peak = now_ms, 0.0
        ahead_ms = max(found[0].crosses_at_ms - now_ms, 0)
        # 1: as far ahead as anything can be seen; 2: now.
        course.score = 1 + max(0.0, 1 - ahead_ms / self._seen_ms(found[0].metric))
        course.peak = max(course.peak, course.score)
        phase = self._phase(found[0], ahead_ms)
        if phase is None:
            return []
        course.active, course.told = True, (found[0].metric, found[0].limit)
        course.told_ahead_ms, course.explanation = ahead_ms, self._explanation(*found)
        return self._tell(phase, place)

    def _phase(self, found: Remaining, ahead_ms: int) -> Phase | None:
        """Worth telling: that there is a trend, that another limit comes first, that half of the time is gone."""
        course = self._course
        if not course.active:
            return Phase.RAISED if course.seen >= _LOOKS_TO_RAISE else None
        another = course.told != (found.metric, found.limit) and course.seen >= _LOOKS_TO_RAISE
        return Phase.UPDATED if another or 2 * ahead_ms <= course.told_ahead_ms else None

    def _estimates(self) -> Iterator[tuple[Remaining, Limit]]:
        for metric in self._blocks.metrics:
            times, values = self._blocks.past(metric)
            if not len(times) or times[-1] - times[0] < LEAST_SPAN_MS:
                continue
            for limit, bound in _next(self.limits, metric, _level(values)):
                found = remaining(times, values, bound, metric=metric, unit=self._words.unit(metric))
                if not isinstance(found, Silence):
                    yield found, limit

    def _seen_ms(self, metric: str) -> int:
        times, _ = self._blocks.past(metric)
        return int(times[-1] - times[0])

    def _tell(self, phase: Phase, place: int) -> list[Change]:
        course, why = self._course, self._course.explanation
        if why is None:
            return []
        if phase is Phase.CLEARED:
            course.active, course.told, course.explanation = False, None, None
        return [
            Change(
                alarm=Alarm.TREND,
                phase=phase,
                row=place,
                severity=Severity.WARNING,
                score=0.0 if phase is Phase.CLEARED else course.score,
                peak_score=course.peak,
                since_ms=course.since_ms,
                explanation=why,
            )
        ]

    def _explanation(self, found: Remaining, limit: Limit) -> Explanation:
        times, values = self._blocks.past(found.metric)
        known = [0.0, found.limit, *values.tolist()]
        sensor = Sensor(
            name=found.metric,
            unit=found.unit,
            share=1.0,
            seen=_short(_level(values)),
            expected=found.limit,
            expected_low=_short(min(known)) if limit.low is None else limit.low,
            expected_high=_short(max(known)) if limit.high is None else limit.high,
        )
        thinned = slice(None, None, -(-len(times) // _DRAWN))
        span = (found.crosses_at_ms, found.earliest_ms, found.latest_ms)
        return Explanation(
            kind=Kind.TREND,
            sensors=[sensor],
            window_ms=times[thinned].tolist(),
            window={found.metric: [_short(value) for value in values[thinned].tolist()]},
            since_ms=self._course.since_ms,
            sentence=drifting(limit, span, found.limit, self._words),
        )


def _level(values: Floats) -> float:
    """Where the indicator is now: the middle of the last eighth of its past."""
    return float(np.median(values[-max(len(values) // 8, 3) :]))


def _next(limits: Sequence[Limit], metric: str, level: float) -> Iterator[tuple[Limit, float]]:
    """The nearest limit above the level, and the nearest below."""
    mine = [limit for limit in limits if limit.metric == metric]
    above = [(limit.high, limit) for limit in mine if limit.high is not None and limit.high > level]
    below = [(limit.low, limit) for limit in mine if limit.low is not None and limit.low < level]
    if above:
        bound, limit = min(above, key=lambda each: each[0])
        yield limit, bound
    if below:
        bound, limit = max(below, key=lambda each: each[0])
        yield limit, bound


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _decoded(payload: bytes) -> _State:
    state = opened(payload, _State, "the state of a watched trend")
    if state.format != FORMAT:
        raise DetectionError(f"the trend's state has format {state.format}, this program reads {FORMAT}; start afresh")
    return state
