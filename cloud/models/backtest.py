"""A candidate against the champion over stored readings: which past alarms would appear, vanish or stay; and is it fit
to come into force? Pure: readings in, lists and a named reason out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from cloud.models.selection import merged
from cloud.storage.backtests import PastAlarm
from cloud.storage.verdicts import Episode, Judgement
from contract.events import AlarmKind
from detection.detector import Detector
from detection.episode import Phase
from detection.kinds import Alarm
from detection.model import Model
from detection.rows import Floats, Ints

DAY_MS = 24 * 3600 * 1000
_MINUTE_MS = 60_000
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
    """What changes for people: alarms that `appeared`, those that `vanished`, and how many stay.

    `alone_ms`: how long the candidate is in alarm while nothing else is or was, by new alarms or by longer ones.
    """

    appeared: list[PastAlarm]
    vanished: list[PastAlarm]
    kept: int
    alone_ms: int = 0


def compare(
    champion: Iterable[PastAlarm],
    candidate: Sequence[PastAlarm],
    raised: Iterable[Episode],
    *,
    until_ms: int | None = None,
) -> Comparison:
    """The candidate's alarms against the champion's and against those that were really `raised`.

    Two are the same if they overlap in time, give or take a minute. What was raised counts though the champion would
    not raise it: an earlier model did, and people may have judged it. `until_ms`: where the past ends, for what is
    still on then; None: where the last alarm begins or ends.
    """
    known = _known(list(champion), [episode for episode in raised if episode.kind is AlarmKind.ANOMALY])
    vanished = [alarm for alarm in known if not any(_same(alarm, other) for other in candidate)]
    return Comparison(
        appeared=[alarm for alarm in candidate if not any(_same(alarm, other) for other in known)],
        vanished=vanished,
        kept=len(known) - len(vanished),
        alone_ms=_alone_ms(candidate, known, until_ms),
    )


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate may do and still come into force by itself."""

    # Healthy running that the candidate has not seen, beyond its limit: more than one row in twenty is where the
    # calibration itself begins to distrust a limit, and says that the machine was not the same all the time.
    max_exceedance: float = 0.05
    # A person follows up one false alarm a day and machine, and switches off what asks for more. Of a history that is
    # shorter than a day one is allowed as well: an hour is too little to tell one a day from none.
    max_new_per_day: float = 1.0
    # Few alarms may still be long ones: of a day in which a machine ran well an hour and a quarter in alarm is what
    # makes people stop looking. A history of half an hour, of which that is a minute and a half, may hold a single
    # passing alarm, which is over within a quarter of an hour.
    max_alone: float = 0.05
    spare_alone_ms: int = 15 * 60_000
    # What nobody judged may have been a fault or the champion's mistake. Three a day are what a person can look up; if
    # more would be silenced at once, the champion cried wolf or the candidate is deaf, and no reading says which.
    max_unjudged_per_day: float = 3.0


class Reason(enum.StrEnum):
    """Why a candidate may come into force, or why not."""

    FIRST = "first"
    WITHIN_BOUNDS = "within_bounds"
    CONFIRMED_VANISHES = "confirmed_alarm_vanishes"
    UNTRIED = "untried"
    EXCEEDANCE = "exceedance"
    NEW_ALARMS = "new_alarms"
    TIME_IN_ALARM = "time_in_alarm"
    UNJUDGED_VANISH = "unjudged_alarms_vanish"
    UNWATCHED = "unwatched"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """May the candidate come into force by itself? `detail` says it to a person.

    `ask`: it may not, but a person may bring it into force; what neither may nor asks is refused.
    """

    promote: bool
    reason: Reason
    detail: str
    ask: bool = False


def verdict_on(
    found: Comparison, *, replayed_ms: int, exceedance: float | None, first: bool, policy: Policy | None = None
) -> Decision:
    """`replayed_ms`: how much time the trial covers; `exceedance` None: there were too few rows to tell.

    A first model has nothing to be worse than.
    """
    if lost := [alarm.anomaly_id or "" for alarm in found.vanished if alarm.verdict == Judgement.TRUE]:
        detail = f"{len(lost)} confirmed alarms would not be raised any more: {', '.join(lost[:3])}"
        return _no(Reason.CONFIRMED_VANISHES, detail)
    if not replayed_ms:
        return _no(Reason.UNTRIED, "there are no readings in this period to try it on")
    if first:
        return Decision(promote=True, reason=Reason.FIRST, detail="there is no other model to compare it with")
    against = next(_objections(found, replayed_ms, exceedance, policy or Policy()), None)
    within = Decision(promote=True, reason=Reason.WITHIN_BOUNDS, detail="no confirmed alarm is lost, and few are new")
    return against or within


def _objections(found: Comparison, replayed_ms: int, exceedance: float | None, policy: Policy) -> Iterator[Decision]:
    """What speaks against it, the weightiest first."""
    days = max(replayed_ms / DAY_MS, 1.0)
    if exceedance is not None and exceedance > policy.max_exceedance:
        detail = (
            f"{exceedance:.1%} of healthy readings are beyond the limit, {policy.max_exceedance:.0%} at most may be"
        )
        yield _no(Reason.EXCEEDANCE, detail)
    if len(found.appeared) > policy.max_new_per_day * days:
        bound = f"{policy.max_new_per_day:g} a day may be"
        yield _no(Reason.NEW_ALARMS, f"{len(found.appeared)} alarms in {days:.1f} days would be new, {bound}")
    if found.alone_ms > max(policy.max_alone * replayed_ms, policy.spare_alone_ms):
        minutes, share = found.alone_ms / _MINUTE_MS, found.alone_ms / replayed_ms
        bound = f"{policy.max_alone:.0%} at most may be"
        yield _no(Reason.TIME_IN_ALARM, f"{minutes:,.0f} minutes more, {share:.0%} of the time, in alarm; {bound}")
    unjudged = sum(alarm.verdict is None for alarm in found.vanished)
    if unjudged > policy.max_unjudged_per_day * days:
        detail = (
            f"{unjudged} alarms that nobody judged would not be raised any more: judge them with `ronda verdict`, "
            "or bring it into force by hand"
        )
        yield Decision(promote=False, ask=True, reason=Reason.UNJUDGED_VANISH, detail=detail)


def on_an_unwatched_machine(decision: Decision) -> Decision:
    """The same where nobody can read the model in force any more: a machine that nobody watches is worse."""
    if decision.promote:
        return decision
    detail = f"the model in force is of an earlier program, which nobody can read; {decision.reason}: {decision.detail}"
    return Decision(promote=True, reason=Reason.UNWATCHED, detail=detail)


def _no(reason: Reason, detail: str) -> Decision:
    return Decision(promote=False, reason=reason, detail=detail)


def _alone_ms(candidate: Sequence[PastAlarm], known: Sequence[PastAlarm], until_ms: int | None) -> int:
    moments = [at for alarm in (*candidate, *known) for at in (alarm.since_ms, alarm.cleared_ms) if at is not None]
    end_ms = max(moments, default=0) if until_ms is None else until_ms
    mine, theirs = (
        merged((alarm.since_ms, end_ms if alarm.cleared_ms is None else alarm.cleared_ms) for alarm in alarms)
        for alarms in (candidate, known)
    )
    shared = sum(
        max(0, min(mine_end, end) - max(mine_start, start)) for mine_start, mine_end in mine for start, end in theirs
    )
    return sum(end - start for start, end in mine) - shared


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
