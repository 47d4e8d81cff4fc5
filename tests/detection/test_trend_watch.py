"""The past in a few kilobytes, a look an hour, and a warning once several looks in a row agree."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.blocks import MOST_BLOCKS, Blocks
from detection.change import Change
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.kinds import Alarm, Kind
from detection.limit import Limit
from detection.rows import Floats, Ints
from detection.trend import DAY_MS
from detection.trend_watch import TrendWatch

START_MS = 1_763_769_600_000
MINUTE_MS = 60_000
METRICS = ["vibration_de_mm_s", "motor_temperature_c"]
UNITS = {"vibration_de_mm_s": "mm/s", "motor_temperature_c": "°C"}
LIMITS = [
    Limit(metric="vibration_de_mm_s", high=4.5),
    Limit(metric="vibration_de_mm_s", high=7.1, severity=Severity.CRITICAL),
    Limit(metric="motor_temperature_c", low=5.0, high=95.0),
]


def watch(limits: list[Limit] | None = None, state: bytes | None = None) -> TrendWatch:
    return TrendWatch(
        LIMITS if limits is None else limits, device="pump-07", units=UNITS, tz=ZoneInfo("Europe/Lisbon"), state=state
    )


def minutes(days: float, every: int = 5) -> Ints:
    return START_MS + MINUTE_MS * np.arange(0, round(days * 1440), every, dtype=np.int64)


def readings(at: Ints, per_day: float, *, begins: float = 0.0, seed: int = 1) -> Floats:
    """Vibration that rises by `per_day` from day `begins` on, and a temperature with the day."""
    rng, days = np.random.default_rng(seed), (at - START_MS) / DAY_MS
    vibration = 2.0 + per_day * np.clip(days - begins, 0, None) + 0.1 * rng.standard_normal(len(at))
    temperature = 60 + 8 * np.sin(2 * np.pi * days) + rng.standard_normal(len(at))
    return np.column_stack([vibration, temperature])


def play(watcher: TrendWatch, at: Ints, values: Floats) -> list[Change]:
    return watcher.process(at, values.T, METRICS)


def test_wear_is_told_days_ahead_as_a_warning_with_when() -> None:
    at = minutes(9)
    watcher = watch()
    changes = play(watcher, at, readings(at, 0.25, begins=2))
    assert (changes[0].phase, changes[0].alarm, changes[0].severity) == (Phase.RAISED, Alarm.TREND, Severity.WARNING)
    assert changes[0].explanation.kind is Kind.TREND
    assert 1 <= changes[0].score <= 2
    assert watcher.active
    truth = START_MS + 12 * DAY_MS
    assert watcher.remaining is not None
    assert watcher.remaining.limit == 4.5
    assert watcher.remaining.earliest_ms <= truth <= (watcher.remaining.latest_ms or truth)
    assert watcher.remaining.crosses_at_ms == pytest.approx(truth, abs=1.5 * DAY_MS)
    assert at[changes[0].row] < truth - 4 * DAY_MS


def test_the_sentence_says_when_and_between_when() -> None:
    at = minutes(9)
    [change, *_] = play(watch(), at, readings(at, 0.25, begins=2))
    sentence = change.explanation.sentence
    told = "At its present pace, the vibration at the drive end of pump-07 reaches the limit of 4.5"
    assert sentence["en"].startswith(told)
    assert " Nov " in sentence["en"]
    assert "(between " in sentence["en"] or "(not before " in sentence["en"]
    assert sentence["pt"].startswith("No ritmo atual, a vibração no lado acoplado de pump-07 chega ao limite de 4,5")
    assert "/11 " in sentence["pt"]


def test_a_healthy_machine_with_warm_days_is_met_with_silence_for_a_month() -> None:
    at = minutes(30, every=10)
    watcher = watch()
    assert play(watcher, at, readings(at, 0.0)) == []
    assert watcher.remaining is None


def test_a_trend_that_ends_is_taken_back() -> None:
    at = minutes(24)
    values = readings(at, 0.25, begins=2)
    repaired = at > START_MS + 8 * DAY_MS
    values[repaired, 0] = readings(at, 0.0, seed=5)[repaired, 0]
    changes = play(watch(), at, values)
    assert changes[0].phase is Phase.RAISED
    assert changes[-1].phase is Phase.CLEARED
    assert [change.phase for change in changes].count(Phase.RAISED) == 1


def test_readings_twenty_times_a_second_and_once_in_ten_minutes_tell_the_same() -> None:
    blocks = Blocks(["a"])
    at = START_MS + 50 * np.arange(3600, dtype=np.int64)
    list(blocks.add(at, np.arange(3600.0)[:, None]))
    _, means = blocks.past("a")
    assert means[0] == np.median(np.arange(128.0))
    rare = watch()
    rare_at = minutes(9, every=10)
    play(rare, rare_at, readings(rare_at, 0.25, begins=2))
    assert rare.remaining is not None


def test_late_readings_and_silence_change_nothing() -> None:
    at = minutes(9)
    values = readings(at, 0.25, begins=2)
    plain, disturbed = watch(), watch()
    play(plain, at, values)
    play(disturbed, at[:1000], values[:1000])
    play(disturbed, at[:200], np.full((200, 2), 50.0))
    play(disturbed, at[1000:], values[1000:])
    assert disturbed.remaining == plain.remaining
    mute = values.copy()
    mute[:, 1] = np.nan
    silent = watch()
    play(silent, at, mute)
    assert silent.remaining == plain.remaining


def test_the_past_stays_small_and_covers_eleven_days() -> None:
    names = [f"sensor_{number}" for number in range(12)]
    watcher = TrendWatch([Limit(metric=name, high=9e9) for name in names])
    at = minutes(14, every=2)
    watcher.process(at, np.random.default_rng(1).standard_normal((12, len(at))), names)
    assert len(watcher.state()) <= 8_500
    blocks = Blocks(["a"])
    list(blocks.add(at, np.zeros((len(at), 1))))
    times, _ = blocks.past("a")
    assert len(times) < MOST_BLOCKS
    assert times[-1] - times[0] > 11 * DAY_MS


def test_changed_limits_keep_the_past_of_what_stays() -> None:
    at = minutes(9)
    values = readings(at, 0.25, begins=2)
    old = watch()
    play(old, at[:-12], values[:-12])
    new = watch([Limit(metric="vibration_de_mm_s", high=4.6)], old.state())
    assert new.remaining is None
    play(new, at[-24:], values[-24:])
    assert new.remaining is not None
    assert new.remaining.limit == 4.6
    gone = watch([], old.state())
    assert [change.phase for change in play(gone, at[-12:], values[-12:])] == [Phase.CLEARED]
    assert not gone.active


def test_bytes_that_are_no_state_and_columns_that_do_not_fit_are_refused() -> None:
    for payload in (b"", b"\x80", b"garbage"):
        with pytest.raises(DetectionError, match="not the state of a watched trend"):
            watch(state=payload)
    with pytest.raises(DetectionError, match="2 metrics at 3 times do not fit columns of"):
        watch().process([1, 2, 3], np.zeros((3, 2)), METRICS)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**16), st.sets(st.integers(0, 1200), max_size=10))
def test_in_blocks_and_restored_at_every_cut_agree(seed: int, cuts: set[int]) -> None:
    at = minutes(9, every=10)
    rng = np.random.default_rng(seed)
    at = at + np.where(rng.random(len(at)) < 0.02, -900_000, 0) + np.where(np.arange(len(at)) > 700, 7_200_000, 0)
    values = readings(at, rng.uniform(0, 0.4), begins=2, seed=seed)
    values[rng.random(values.shape) < 0.05] = np.nan
    whole = watch()
    expected = whole.process(at, values.T, METRICS)
    watcher, found = watch(), []
    edges = sorted(cuts)
    for start, stop in zip([0, *edges], [*edges, len(at)], strict=True):
        changes = watcher.process(at[start:stop], values[start:stop].T, METRICS)
        found += [(change.row + start, change.phase, change.score, change.explanation) for change in changes]
        watcher = watch(state=watcher.state())
    assert found == [(change.row, change.phase, change.score, change.explanation) for change in expected]
    assert watcher.state() == whole.state()
    assert watcher.remaining == whole.remaining


def test_row_by_row_agrees_with_one_block() -> None:
    at = minutes(7, every=10)
    values = readings(at, 0.3, begins=1)
    whole, single, found = watch(), watch(), []
    expected = play(whole, at, values)
    for row in range(len(at)):
        changes = single.process(at[row : row + 1], values[row : row + 1].T, METRICS)
        found += [(row, change.phase, change.explanation) for change in changes]
    assert found == [(change.row, change.phase, change.explanation) for change in expected]
    assert expected
    assert single.state() == whole.state()
