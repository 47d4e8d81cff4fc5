"""Fixed limits: raised after they were crossed for a while, cleared clearly inside, one alarm for all of them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.change import Change
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.explain import Explanation
from detection.iso20816 import SOURCE, Boundary, label
from detection.kinds import Alarm, Kind
from detection.limits import Limit, LimitWatch
from detection.rows import Floats
from tests.support.machines import START_MS, times

METRICS = ["vibration_de_mm_s", "motor_temperature_c"]
UNITS = {"vibration_de_mm_s": "mm/s", "motor_temperature_c": "°C"}
WARNING = Limit(metric="vibration_de_mm_s", high=2.8, source=SOURCE, label=label("group2-rigid", Boundary.B_C))
CRITICAL = Limit(
    metric="vibration_de_mm_s", high=4.5, severity=Severity.CRITICAL, source=SOURCE,
    label=label("group2-rigid", Boundary.C_D),
)  # fmt: skip
HOT = Limit(metric="motor_temperature_c", low=10.0, high=90.0, label="winding class F")
LIMITS = [WARNING, CRITICAL, HOT]


def watch(limits: list[Limit] | None = None, state: bytes | None = None) -> LimitWatch:
    return LimitWatch(
        LIMITS if limits is None else limits, device="pump-07", units=UNITS, tz=ZoneInfo("America/Sao_Paulo"),
        state=state,
    )  # fmt: skip


def calm(rows: int) -> Floats:
    return np.column_stack([np.full(rows, 2.0), np.full(rows, 60.0)])


def shaken(rows: int, velocity: float, *, start: int, stop: int | None = None) -> Floats:
    values = calm(rows)
    values[start:stop, 0] = velocity
    return values


def play(watcher: LimitWatch, values: Floats, *, start_ms: int = START_MS, step_ms: int = 1000) -> list[Change]:
    return watcher.process(times(len(values), start_ms=start_ms, step_ms=step_ms), values.T, METRICS)


def phases(changes: list[Change]) -> list[tuple[int, Phase, Severity]]:
    return [(change.row, change.phase, change.severity) for change in changes]


def test_inside_the_limits_nothing_is_said() -> None:
    watcher = watch()
    assert play(watcher, calm(600)) == []
    assert not watcher.active


def test_a_limit_is_crossed_for_ten_seconds_before_anybody_is_told() -> None:
    assert play(watch(), shaken(100, 3.0, start=50, stop=60)) == []
    [change] = play(watch(), shaken(100, 3.0, start=50))
    assert (change.row, change.phase, change.alarm) == (60, Phase.RAISED, Alarm.LIMIT)
    assert change.since_ms == START_MS + 50_000
    assert change.explanation.kind is Kind.LIMIT
    assert change.score == pytest.approx(3.0 / 2.8)


def test_the_limit_itself_is_allowed() -> None:
    assert play(watch(), shaken(100, 2.8, start=0)) == []


def test_beyond_the_critical_limit_is_critical_and_an_alarm_gets_worse_but_never_better() -> None:
    values = shaken(200, 3.0, start=20)
    values[60:100, 0] = 5.2
    changes = play(watch(), values)
    assert phases(changes) == [(30, Phase.RAISED, Severity.WARNING), (70, Phase.UPDATED, Severity.CRITICAL)]
    assert play(watch([CRITICAL]), shaken(100, 5.2, start=0))[0].severity is Severity.CRITICAL


def test_it_clears_only_clearly_inside_and_for_as_long() -> None:
    values = shaken(300, 3.0, start=20)
    values[100:200, 0] = 2.79
    values[200:, 0] = 2.0
    changes = play(watch(), values)
    assert phases(changes) == [(30, Phase.RAISED, Severity.WARNING), (210, Phase.CLEARED, Severity.WARNING)]
    assert changes[1].explanation == changes[0].explanation
    assert changes[1].peak_score == changes[0].peak_score


def test_a_reading_that_trembles_at_the_limit_is_one_alarm() -> None:
    values = shaken(600, 2.9, start=20)
    values[40::7, 0] = 2.7
    assert [change.phase for change in play(watch(), values)] == [Phase.RAISED]


def test_a_limit_below_is_crossed_downwards() -> None:
    values = calm(100)
    values[20:, 1] = 4.0
    [change] = play(watch(), values)
    assert "has been below the limit of 10\N{NO-BREAK SPACE}°C" in change.explanation.sentence["en"]
    assert change.explanation.sensors[0].expected == 10.0
    assert (change.explanation.sensors[0].expected_low, change.explanation.sensors[0].expected_high) == (10.0, 90.0)


def test_several_limits_are_one_alarm_that_ends_when_the_last_is_kept() -> None:
    values = shaken(300, 3.0, start=20, stop=120)
    values[60:200, 1] = 95.0
    changes = play(watch(), values)
    assert [(change.row, change.phase) for change in changes] == [
        (30, Phase.RAISED),
        (70, Phase.UPDATED),
        (210, Phase.CLEARED),
    ]
    assert len({change.since_ms for change in changes}) == 1
    assert {sensor.name for sensor in changes[1].explanation.sensors} == set(METRICS)
    assert sum(sensor.share for sensor in changes[1].explanation.sensors) == pytest.approx(1, abs=1e-3)


def test_a_silent_sensor_is_no_judgement() -> None:
    values = shaken(100, 3.0, start=20)
    values[25:35, 0] = np.nan
    assert [(change.row, change.phase) for change in play(watch(), values)] == [(35, Phase.RAISED)]
    values = shaken(300, 3.0, start=20)
    values[40:, 0] = np.nan
    assert [change.phase for change in play(watch(), values)] == [Phase.RAISED]


def test_a_hole_in_the_data_starts_the_duration_again() -> None:
    watcher = watch()
    assert play(watcher, shaken(8, 3.0, start=0)) == []
    later = START_MS + 600_000
    [change] = play(watcher, shaken(30, 3.0, start=0), start_ms=later)
    assert change.since_ms == later


def test_a_device_that_measures_every_five_minutes_needs_a_longer_gap() -> None:
    rare = shaken(10, 3.0, start=2)
    assert play(watch(), rare, step_ms=300_000) == []
    patient = LimitWatch(LIMITS, gap_ms=6_000_000)
    assert [change.row for change in play(patient, rare, step_ms=300_000)] == [3]


def test_late_readings_are_skipped() -> None:
    watcher = watch()
    play(watcher, calm(100))
    assert play(watcher, shaken(50, 9.0, start=0), start_ms=START_MS + 10_000) == []
    assert not watcher.active


def test_an_alarm_of_limits_that_were_taken_away_is_cleared_and_others_begin_afresh() -> None:
    watcher = watch()
    play(watcher, shaken(60, 3.0, start=0))
    none = watch([], watcher.state())
    assert none.active
    assert [change.phase for change in play(none, calm(1), start_ms=START_MS + 60_000)] == [Phase.CLEARED]
    assert not none.active
    kept = watch([WARNING], watcher.state())
    assert play(kept, shaken(60, 3.0, start=0), start_ms=START_MS + 60_000) == []
    assert kept.active


def test_the_sentence_names_sensor_limit_reading_and_where_the_limit_is_from() -> None:
    values = shaken(100, 5.2, start=20)
    [change] = [change for change in play(watch(), values) if change.phase is Phase.RAISED]
    space = "\N{NO-BREAK SPACE}"
    at = "05:27"
    assert change.explanation.sentence == {
        "en": f"The vibration at the drive end of pump-07 has been above the critical limit of 4.5{space}mm/s since "
        f"{at} (5.2{space}mm/s; ISO 20816-3, zone C/D, group 2 rigid).",
        "pt": f"A vibração no lado acoplado de pump-07 está acima do limite crítico de 4,5{space}mm/s desde as {at} "
        f"(5,2{space}mm/s; ISO 20816-3, zona C/D, grupo 2 rígido).",
    }


def test_a_users_own_words_stand_in_the_sentence_and_digits_tell_the_reading_from_the_limit() -> None:
    values = calm(100)
    values[20:, 1] = 90.04
    [change] = play(watch(), values)
    assert change.explanation.sentence["en"].startswith("The motor temperature of pump-07 has been above the limit of")
    assert "(90.04\N{NO-BREAK SPACE}°C; winding class F)" in change.explanation.sentence["en"]
    assert "A temperatura do motor de pump-07 está acima do limite de" in change.explanation.sentence["pt"]


def test_the_picture_shows_the_last_minute_of_what_is_crossed() -> None:
    [change] = play(watch(), shaken(100, 3.0, start=50))
    why: Explanation = change.explanation
    assert why.window_ms[-1] == START_MS + 60_000
    assert list(why.window) == ["vibration_de_mm_s"]
    assert len(why.window_ms) == len(why.window["vibration_de_mm_s"]) == 60
    assert why.window["vibration_de_mm_s"][-1] == 3.0


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Limit(metric="flow_lpm"), "flow_lpm: a limit needs low or high, or both"),
        (Limit(metric="flow_lpm", low=2, high=1), "flow_lpm: low 2 must be below high 1"),
        (Limit(metric="flow_lpm", high=float("inf")), "flow_lpm: low and high must be finite numbers"),
    ],
)
def test_a_limit_that_says_nothing_is_refused(limit: Limit, why: str) -> None:
    with pytest.raises(DetectionError, match=why):
        LimitWatch([limit])


def test_columns_that_do_not_fit_and_states_that_are_none_are_refused() -> None:
    with pytest.raises(DetectionError, match="2 metrics at 3 times do not fit columns of"):
        watch().process(times(3), np.zeros((3, 2)), METRICS)
    for payload in (b"", b"\x80", b"garbage"):
        with pytest.raises(DetectionError, match="not the state of watched limits"):
            watch(state=payload)


def test_the_state_is_small_also_with_an_open_alarm() -> None:
    names = [f"sensor_{number}" for number in range(8)]
    watcher = LimitWatch([Limit(metric=name, high=1.0) for name in names])
    watcher.process(times(400), np.full((8, 400), 2.0), names)
    assert watcher.active
    assert len(watcher.state()) <= 7_000


def test_extreme_values_neither_warn_nor_break() -> None:
    with np.errstate(all="raise"):
        changes = play(watch(), shaken(60, 1e300, start=20))
    assert [change.phase for change in changes] == [Phase.RAISED]
    assert np.isfinite(changes[0].score)


@st.composite
def stories(draw: st.DrawFn) -> tuple[np.ndarray, Floats, list[int]]:
    """Times with holes and late rows, values about the limits and silence, and where to cut them into blocks."""
    rows, seed = draw(st.integers(1, 250)), draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    pieces = np.repeat(rng.choice([2.0, 2.75, 3.0, 5.0], rows // 12 + 1), 12)[:rows]
    values = np.column_stack([pieces, np.repeat(rng.choice([5.0, 60.0, 95.0], rows // 20 + 1), 20)[:rows]])
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.02, 0.4]))] = np.nan
    steps = rng.choice([1000, 2000, 0, -1500, 90_000], rows, p=[0.9, 0.07, 0.01, 0.01, 0.01])
    cuts = sorted(draw(st.sets(st.integers(0, rows), max_size=12)))
    return START_MS + np.cumsum(steps), values, cuts


@settings(max_examples=80, deadline=None)
@given(stories())
def test_row_by_row_in_blocks_and_restored_at_every_cut_agree(story: tuple[np.ndarray, Floats, list[int]]) -> None:
    at, values, cuts = story
    whole = watch()
    expected = whole.process(at, values.T, METRICS)
    for edges, restored in ((cuts, True), (list(range(len(at))), False), (list(range(len(at))), True)):
        watcher, found = watch(), []
        for start, stop in zip([0, *edges], [*edges, len(at)], strict=True):
            changes = watcher.process(at[start:stop], values[start:stop].T, METRICS)
            found += [(change.row + start, change) for change in changes]
            if restored:
                watcher = watch(state=watcher.state())
        assert [(row, _without_row(change)) for row, change in found] == [
            (change.row, _without_row(change)) for change in expected
        ]
        assert watcher.state() == whole.state()


@settings(max_examples=40, deadline=None)
@given(stories(), st.integers(0, 250))
def test_what_comes_later_changes_nothing_that_was_said(
    story: tuple[np.ndarray, Floats, list[int]], until: int
) -> None:
    at, values, _ = story
    early = watch().process(at[:until], values[:until].T, METRICS)
    late = watch().process(at, values.T, METRICS)
    assert early == [change for change in late if change.row < until]


def _without_row(change: Change) -> tuple[object, ...]:
    return tuple(getattr(change, name) for name in change.__struct_fields__ if name != "row")
