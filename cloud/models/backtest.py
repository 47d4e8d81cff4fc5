"""A candidate against the champion over stored readings: which past alarms would appear, vanish or stay; and is it fit
to come into force? Pure: readings in, lists and a named reason out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from cloud.storage.backtests import PastAlarm
from cloud.storage.verdicts import Episode, Judgement
from contract.events import AlarmKind
from detection.detector import Detector
from detection.episode import Phase
from detection.kinds import Alarm
from detection.model import Model
from detection.rows import Floats, Ints

DAY_MS = 24 * 3600 * 1000
# Two models see the same excursion begin and end some rows apart; a minute is three of their windows at 1 Hz.
SAME_WITHIN_MS = 60_000


class Replay:
    """One model over past readings. `look` at blocks in the order of time, then `finish`."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._detector = Detector(model)
        self._alarms: dict[int, PastAlarm] = {}

    def look(self, measured_at_ms: Ints, values: Floats, metrics: Sequence[str]) -> None:
        """Judge n readings: times (n), columns (k, n), names (k)."""
        for change in self._detector.process(measured_at_ms, values, metrics):
            # Limits and sensors are watched without a model: two models do not differ there.
            if change.alarm is not Alarm.ANOMALY:
                continue
            sensors = change.explanation.sensors
            self._alarms[change.since_ms] = PastAlarm(
                since_ms=change.since_ms,
                cleared_ms=int(measured_at_ms[change.row]) if change.phase is Phase.CLEARED else None,
                severity=change.severity,
                peak=round(change.peak_score, 2),
                sensor=sensors[0].name if sensors else None,
            )

    def skip(self) -> None:
        """A part of the past is not looked at: what follows begins afresh, and what was open ends here."""
        end_ms = self._detector.position_ms
        self._alarms = {
            since_ms: alarm if alarm.cleared_ms is not None else msgspec.structs.replace(alarm, cleared_ms=end_ms)
            for since_ms, alarm in self._alarms.items()
        }
        self._detector = Detector(self._model)

    def finish(self) -> list[PastAlarm]:
        """The alarms that this model raises, by their beginning."""
        return [self._alarms[since_ms] for since_ms in sorted(self._alarms)]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changes for people: alarms that `appeared`, those that `vanished`, and how many stay."""

    appeared: list[PastAlarm]
    vanished: list[PastAlarm]
    kept: int


def compare(champion: Iterable[PastAlarm], candidate: Sequence[PastAlarm], raised: Iterable[Episode]) -> Comparison:
    """The candidate's alarms against the champion's and against those that were really `raised`.

    Two are the same if they overlap in time, give or take a minute. What was raised counts though the champion would
    not raise it: an earlier model did, and people may have judged it.
    """
    known = _known(list(champion), [episode for episode in raised if episode.kind is AlarmKind.ANOMALY])
    vanished = [alarm for alarm in known if not any(_same(alarm, other) for other in candidate)]
    return Comparison(
        appeared=[alarm for alarm in candidate if not any(_same(alarm, other) for other in known)],
        vanished=vanished,
        kept=len(known) - len(vanished),
    )


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate may do and still come into force by itself."""

    # Healthy running that the candidate has not seen, beyond its limit: more than one row in twenty is where the
    # calibration itself begins to distrust a limit, and says that the machine was not the same all the time.
    max_exceedance: float = 0.05
    # A person follows up one false alarm a day and machine, and switches off what asks for more. Of a history that is
    # shorter than a day one is allowed as well: an hour is too little to tell one a day from none.
    max_new_per_day: float = 1.0


class Reason(enum.StrEnum):
    """Why a candidate may come into force, or why not."""

    FIRST = "first"
    WITHIN_BOUNDS = "within_bounds"
    CONFIRMED_VANISHES = "confirmed_alarm_vanishes"
    UNTRIED = "untried"
    EXCEEDANCE = "exceedance"
    NEW_ALARMS = "new_alarms"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """May the candidate come into force? `detail` says it to a person."""

    promote: bool
    reason: Reason
    detail: str


def verdict_on(
    found: Comparison, *, replayed_ms: int, exceedance: float | None, first: bool, policy: Policy | None = None
) -> Decision:
    """`replayed_ms`: how much time the trial covers; `exceedance` None: there were too few rows to tell.

    A first model has nothing to be worse than.
    """
    policy = policy or Policy()
    lost = [alarm for alarm in found.vanished if alarm.verdict == Judgement.TRUE]
    if lost:
        ids = ", ".join(alarm.anomaly_id or "" for alarm in lost[:3])
        return _no(Reason.CONFIRMED_VANISHES, f"{len(lost)} confirmed alarms would not be raised any more: {ids}")
    if not replayed_ms:
        return _no(Reason.UNTRIED, "there are no readings in this period to try it on")
    if first:
        return Decision(promote=True, reason=Reason.FIRST, detail="there is no other model to compare it with")
    if exceedance is not None and exceedance > policy.max_exceedance:
        detail = (
            f"{exceedance:.1%} of healthy readings are beyond the limit, {policy.max_exceedance:.0%} at most may be"
        )
        return _no(Reason.EXCEEDANCE, detail)
    days = max(replayed_ms / DAY_MS, 1.0)
    if len(found.appeared) > policy.max_new_per_day * days:
        bound = f"{policy.max_new_per_day:g} a day may be"
        return _no(Reason.NEW_ALARMS, f"{len(found.appeared)} alarms in {days:.1f} days would be new, {bound}")
    return Decision(promote=True, reason=Reason.WITHIN_BOUNDS, detail="no confirmed alarm is lost, and few are new")


def _no(reason: Reason, detail: str) -> Decision:
    return Decision(promote=False, reason=reason, detail=detail)


def _known(replayed: Sequence[PastAlarm], raised: Sequence[Episode]) -> list[PastAlarm]:
    """What the champion raises with the verdicts on it, and what was raised beside that."""
    told = [_as_alarm(episode) for episode in raised]
    judged = [_with_verdict(alarm, [other for other in told if _same(alarm, other)]) for alarm in replayed]
    beside = [alarm for alarm in told if not any(_same(alarm, other) for other in replayed)]
    return sorted([*judged, *beside], key=lambda alarm: alarm.since_ms)


def _with_verdict(alarm: PastAlarm, told: Sequence[PastAlarm]) -> PastAlarm:
    """Of several that were raised in this time a confirmed one counts first, then any that was judged."""
    if not told:
        return alarm
    best = max(told, key=lambda other: (other.verdict == Judgement.TRUE, other.verdict is not None))
    return msgspec.structs.replace(alarm, anomaly_id=best.anomaly_id, verdict=best.verdict)


def _as_alarm(episode: Episode) -> PastAlarm:
    return PastAlarm(
        since_ms=episode.since_ms,
        cleared_ms=episode.cleared_at_ms,
        severity=episode.severity,
        peak=round(episode.peak_score, 2),
        sensor=episode.sensor,
        anomaly_id=episode.anomaly_id,
        verdict=episode.verdict,
    )


def _same(one: PastAlarm, other: PastAlarm) -> bool:
    return _begins_before_end(one, other) and _begins_before_end(other, one)


def _begins_before_end(one: PastAlarm, other: PastAlarm) -> bool:
    return other.cleared_ms is None or one.since_ms <= other.cleared_ms + SAME_WITHIN_MS
