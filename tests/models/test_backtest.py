"""Which alarms would appear, vanish or stay, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.models.backtest import (
    DAY_MS,
    Comparison,
    Decision,
    Reason,
    Replay,
    compare,
    on_an_unwatched_machine,
    verdict_on,
)
from cloud.models.trial import periods_to_try
from cloud.storage.backtests import PastAlarm
from cloud.storage.verdicts import Episode, Judgement
from contract.events import AlarmKind
from detection.fit import fit
from tests.support.machines import DEVIATIONS, METRICS, START_MS, healthy, times

MINUTE = 60_000


def alarm(since_min: int, cleared_min: int | None, verdict: str | None = None) -> PastAlarm:
    cleared_ms = None if cleared_min is None else cleared_min * MINUTE
    return PastAlarm(since_ms=since_min * MINUTE, cleared_ms=cleared_ms, severity="warning", peak=1.5, verdict=verdict)


def raised(since_min: int, cleared_min: int | None, verdict: Judgement | None = None, **rest: object) -> Episode:
    cleared_ms = None if cleared_min is None else cleared_min * MINUTE
    kind = AlarmKind(str(rest.get("kind", "anomaly")))
    return Episode(
        anomaly_id=f"a{since_min}", since_ms=since_min * MINUTE, cleared_at_ms=cleared_ms, verdict=verdict, kind=kind
    )


def spans(alarms: list[PastAlarm]) -> list[int]:
    return [each.since_ms // MINUTE for each in alarms]


def test_alarms_that_overlap_are_the_same_and_the_others_appear_or_vanish() -> None:
    found = compare([alarm(10, 20), alarm(40, 50)], [alarm(15, 30), alarm(60, 70)], [])
    assert (spans(found.appeared), spans(found.vanished), found.kept) == ([60], [40], 1)


def test_an_alarm_that_is_still_on_overlaps_all_that_follows() -> None:
    found = compare([alarm(10, None)], [alarm(500, 510)], [])
    assert (found.appeared, found.vanished, found.kept) == ([], [], 1)


def test_a_minute_more_or_less_is_the_same_alarm() -> None:
    assert compare([alarm(10, 20)], [alarm(21, 30)], []).kept == 1
    assert compare([alarm(10, 20)], [alarm(22, 30)], []).kept == 0


def test_what_was_really_raised_counts_though_the_champion_would_not_raise_it() -> None:
    found = compare([], [alarm(10, 20)], [raised(12, 18, Judgement.TRUE), raised(40, 50, Judgement.TRUE)])
    assert (found.appeared, found.kept) == ([], 1)
    [lost] = found.vanished
    assert (lost.anomaly_id, lost.verdict) == ("a40", "true")


def test_a_confirmed_alarm_within_a_longer_one_is_not_forgotten_for_another_verdict() -> None:
    found = compare([alarm(10, 60)], [], [raised(12, 15, Judgement.FALSE), raised(30, 35, Judgement.TRUE)])
    assert [(each.anomaly_id, each.verdict) for each in found.vanished] == [("a30", "true")]


def test_limits_and_sensors_are_no_models_alarms() -> None:
    assert compare([], [], [raised(10, 20, kind="limit")]).vanished == []


@pytest.mark.parametrize(
    ("champion", "candidate", "alone"),
    [
        ([], [(10, 40)], 30),
        ([(10, 20)], [(10, 40)], 20),
        ([(10, 20), (15, 30)], [(5, 12), (11, 40)], 15),
        ([(10, 20)], [(12, 18)], 0),
        ([(10, None)], [(5, 40)], 5),
        ([(10, 20)], [(50, None)], 10),
        ([], [(50, None)], 10),
        ([], [], 0),
    ],
)
def test_the_time_that_only_the_candidate_is_in_alarm_is_counted_once(
    champion: list[tuple[int, int | None]], candidate: list[tuple[int, int | None]], alone: int
) -> None:
    found = compare([alarm(*each) for each in champion], [alarm(*each) for each in candidate], [], until_ms=60 * MINUTE)
    assert found.alone_ms == alone * MINUTE


def test_what_was_really_raised_is_no_time_of_the_candidates_own() -> None:
    assert compare([], [alarm(10, 40)], [raised(10, 30)]).alone_ms == 10 * MINUTE
    assert compare([alarm(0, 5)], [alarm(10, None)], []).alone_ms == 0


def decided(found: Comparison, *, days: float = 1.0, exceedance: float | None = 0.0, first: bool = False) -> Decision:
    return verdict_on(found, replayed_ms=int(days * DAY_MS), exceedance=exceedance, first=first)


def changes(appeared: int = 0, vanished: list[str | None] | None = None, alone_min: float = 0.0) -> Comparison:
    return Comparison(
        appeared=[alarm(n, n) for n in range(appeared)],
        vanished=[alarm(n, n, verdict) for n, verdict in enumerate(vanished or [])],
        kept=0,
        alone_ms=int(alone_min * MINUTE),
    )


@pytest.mark.parametrize(
    ("found", "how", "promote", "reason"),
    [
        (changes(), {}, True, Reason.WITHIN_BOUNDS),
        (changes(vanished=["false", None, "planned"]), {}, True, Reason.WITHIN_BOUNDS),
        (changes(vanished=["false", "true"]), {}, False, Reason.CONFIRMED_VANISHES),
        (changes(vanished=["true"]), {"first": True}, False, Reason.CONFIRMED_VANISHES),
        (changes(appeared=9), {"first": True, "exceedance": 1.0}, True, Reason.FIRST),
        (changes(), {"days": 0.0}, False, Reason.UNTRIED),
        (changes(), {"exceedance": 0.0501}, False, Reason.EXCEEDANCE),
        (changes(), {"exceedance": 0.05}, True, Reason.WITHIN_BOUNDS),
        (changes(), {"exceedance": None}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=1), {}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=1), {"days": 0.01}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=2), {}, False, Reason.NEW_ALARMS),
        (changes(appeared=2), {"days": 2.0}, True, Reason.WITHIN_BOUNDS),
        (changes(alone_min=72), {}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=1, alone_min=72.1), {}, False, Reason.TIME_IN_ALARM),
        (changes(alone_min=72.1), {"days": 2.0}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=1, alone_min=15), {"days": 0.02}, True, Reason.WITHIN_BOUNDS),
        (changes(appeared=1, alone_min=15.1), {"days": 0.02}, False, Reason.TIME_IN_ALARM),
        (changes(alone_min=720), {"first": True}, True, Reason.FIRST),
        (changes(vanished=[None, None, None, "false", "planned"]), {}, True, Reason.WITHIN_BOUNDS),
        (changes(vanished=[None] * 4), {}, False, Reason.UNJUDGED_VANISH),
        (changes(vanished=[None] * 4), {"days": 0.1}, False, Reason.UNJUDGED_VANISH),
        (changes(vanished=[None] * 6), {"days": 2.0}, True, Reason.WITHIN_BOUNDS),
        (changes(vanished=[None] * 9), {"first": True}, True, Reason.FIRST),
    ],
)
def test_a_candidate_comes_into_force_within_bounds(
    found: Comparison, how: dict[str, float], promote: bool, reason: Reason
) -> None:
    decision = decided(found, **how)  # type: ignore[arg-type]  # the row says which of them
    assert (decision.promote, decision.reason) == (promote, reason)
    assert decision.detail
    assert decision.ask == (reason is Reason.UNJUDGED_VANISH)


def test_where_nobody_can_read_the_model_in_force_any_candidate_is_better() -> None:
    refused = decided(changes(vanished=["true"]))
    unwatched = on_an_unwatched_machine(refused)
    assert (unwatched.promote, unwatched.reason) == (True, Reason.UNWATCHED)
    assert refused.detail in unwatched.detail
    assert on_an_unwatched_machine(decided(changes())) == decided(changes())


def test_the_last_day_and_the_time_around_confirmed_alarms_are_tried() -> None:
    day = 24 * 60
    last_ms = 10 * day * MINUTE
    episodes = [
        raised(day, day + 5, Judgement.TRUE),
        raised(2 * day, 2 * day + 5, Judgement.FALSE),
        raised(9 * day + 30, 9 * day + 40, Judgement.TRUE),
        raised(10 * day - 1, None, Judgement.TRUE),
    ]
    assert [(start // MINUTE, end // MINUTE) for start, end in periods_to_try(episodes, last_ms)] == [
        (day - 30, day + 20),
        (9 * day, 10 * day),
    ]


def test_of_many_confirmed_alarms_the_newest_twenty_are_tried() -> None:
    episodes = [raised(n * 120, n * 120 + 5, Judgement.TRUE) for n in range(100)]
    periods = periods_to_try(episodes, 100 * 24 * 60 * MINUTE)
    assert len(periods) == 21
    assert periods[0][0] == (80 * 120 - 30) * MINUTE


def test_a_replay_finds_what_the_detector_raises_whatever_the_blocks() -> None:
    model = fit(healthy(900), times(900), METRICS).model
    values = healthy(900, seed=2)
    values[300:400, 0] += 12 * DEVIATIONS[0]
    found = []
    for step in (900, 97):
        replay = Replay(model)
        for start in range(0, 900, step):
            replay.look(times(900)[start : start + step], values[start : start + step].T, METRICS)
        found.append(replay.finish())
    assert found[0] == found[1]
    [only] = found[0]
    assert only.sensor == "vibration_de_rms_g"
    assert 300 <= (only.since_ms - START_MS) / 1000 <= 320
    assert only.cleared_ms is not None
    assert only.cleared_ms > START_MS + 400_000


def test_after_a_part_that_was_skipped_a_replay_begins_afresh() -> None:
    model = fit(healthy(900), times(900), METRICS).model
    replay, shifted = Replay(model), healthy(100, seed=2) + np.array([12 * DEVIATIONS[0], 0, 0, 0])
    replay.look(times(100), shifted.T, METRICS)
    replay.skip()
    replay.look(times(100, start_ms=START_MS - 10_000_000), shifted.T, METRICS)
    assert [each.cleared_ms for each in replay.finish()] == [None, START_MS + 99_000]
