"""What the detector promises about time, blocks, silence and memory."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.change import Change
from detection.detector import Detector, Running
from detection.episode import Phase, Severity
from detection.errors import DetectionError
from detection.fit import fit
from detection.kinds import Alarm
from detection.rows import Floats
from detection.settings import Settings
from tests.support.machines import CENTRES, DEVIATIONS, METRICS, START_MS, detector, healthy, play, times

AFTER_MS = START_MS + 900_000
MODEL = detector().model


def phases(changes: list[Change]) -> list[Phase]:
    return [change.phase for change in changes]


def shifted(rows: int, channel: int, deviations: float, *, start: int = 100, stop: int | None = None) -> Floats:
    values = healthy(900 + rows)[900:]
    values[start:stop, channel] += deviations * DEVIATIONS[channel]
    return values


def test_healthy_running_stays_quiet() -> None:
    assert play(detector(), healthy(900 + 3000)[900:]) == []


def test_a_shift_that_lasts_is_raised_once_with_the_sensor_that_moved() -> None:
    changes = play(detector(), shifted(400, 1, 8))
    assert phases(changes)[0] is Phase.RAISED
    assert phases(changes).count(Phase.RAISED) == 1
    assert changes[0].explanation.sensors[0].name == "current_a"
    assert 100 <= changes[0].row <= 130
    assert AFTER_MS + 100_000 <= changes[0].since_ms <= AFTER_MS + 120_000


def test_what_lasts_less_than_the_minimum_duration_is_not_raised() -> None:
    patient = Settings(min_duration_ms=60_000)
    assert play(detector(patient), shifted(400, 1, 8, stop=130)) == []
    assert phases(play(detector(patient), shifted(400, 1, 8, stop=220)))[0] is Phase.RAISED


def test_one_wild_reading_never_alarms() -> None:
    for size in (50, 1e3, 1e9, -1e9):
        for channel in range(4):
            assert play(detector(), shifted(400, channel, size, stop=101)) == [], (size, channel)


def test_it_clears_after_it_stayed_back_and_says_that_it_returned() -> None:
    changes = play(detector(), shifted(600, 1, 8, stop=300))
    assert phases(changes)[0] is Phase.RAISED
    assert phases(changes)[-1] is Phase.CLEARED
    assert not changes[-1].new_level
    assert changes[-1].explanation == changes[-2].explanation


def test_a_machine_that_settles_elsewhere_is_cleared_as_a_new_level_and_judged_there() -> None:
    watcher, values = detector(), healthy(900 + 1200)[900:]
    values[100:200, 1] += 60 * DEVIATIONS[1]
    values[200:, 1] += 3 * DEVIATIONS[1]
    changes = play(watcher, values)
    assert phases(changes)[-1] is Phase.CLEARED
    assert changes[-1].new_level
    assert watcher.score < 0.7
    further = healthy(2400)[2100:]
    further[:, 1] += 12 * DEVIATIONS[1]
    assert Phase.RAISED in phases(play(watcher, further, start_ms=AFTER_MS + 1_200_000))


def test_a_drifting_temperature_that_jumps_is_raised_and_a_new_level_when_it_stays() -> None:
    changes = play(detector(), shifted(400, 3, 6))
    assert phases(changes)[:1] == [Phase.RAISED]
    assert changes[0].explanation.sensors[0].name == "motor_temperature_c"
    assert phases(changes)[-1] is Phase.CLEARED
    assert changes[-1].new_level


def test_wear_that_grows_over_hours_is_found_however_slowly_the_centre_follows() -> None:
    values = healthy(900 + 20_000)[900:]
    values[:, 0] += np.linspace(0, 12, len(values)) * DEVIATIONS[0]
    changes = play(detector(), values)
    assert phases(changes)[0] is Phase.RAISED
    assert changes[0].explanation.sensors[0].name == "vibration_de_rms_g"


def test_the_centre_follows_a_healthy_machine_that_warms_up() -> None:
    values = healthy(900 + 6000)[900:]
    values[:, 1] += np.linspace(0, 2.2, len(values)) * DEVIATIONS[1]
    followed, frozen = detector(), detector(Settings(follow_rows=10**9))
    assert play(followed, values) == []
    play(frozen, values)
    assert followed.scores[-200:].mean() < 0.7 * frozen.scores[-200:].mean()


def test_worse_is_told_and_critical_is_twice_the_limit() -> None:
    values = shifted(400, 1, 3.5)
    values[250:, 1] += 10 * DEVIATIONS[1]
    changes = play(detector(), values)
    assert [(change.phase, change.severity) for change in changes[:2]] == [
        (Phase.RAISED, Severity.WARNING),
        (Phase.UPDATED, Severity.CRITICAL),
    ]


def test_a_hole_in_the_data_empties_the_window_and_never_alarms_by_itself() -> None:
    watcher = detector()
    play(watcher, healthy(1000)[900:])
    assert not watcher.warming
    assert play(watcher, healthy(1100)[1000:1010], start_ms=AFTER_MS + 10**8) == []
    assert watcher.warming
    assert np.isnan(watcher.scores).all()


def test_a_hole_restarts_the_minimum_duration() -> None:
    watcher = detector(Settings(min_duration_ms=30_000))
    bad = shifted(60, 1, 8, start=0)
    assert play(watcher, bad[:40]) == []
    assert play(watcher, bad[:40], start_ms=AFTER_MS + 200_000) == []


def test_late_readings_are_skipped_and_counted() -> None:
    values = healthy(1000)[900:]
    on_time, disturbed = detector(), detector()
    play(on_time, values)
    play(disturbed, values[:50])
    play(disturbed, np.full((5, 4), 1e6), start_ms=AFTER_MS + 20_000)
    play(disturbed, values[50:], start_ms=AFTER_MS + 50_000)
    assert disturbed.skipped == 5
    assert disturbed.score == on_time.score


def test_metrics_may_come_in_any_order_and_unknown_ones_are_ignored() -> None:
    values, straight, mixed = shifted(300, 1, 8), detector(), detector()
    order = [2, 0, 3, 1]
    columns = [*values.T[order], np.full(300, 7.0)]
    changes = mixed.process(times(300, start_ms=AFTER_MS), columns, [*(METRICS[i] for i in order), "humidity"])
    assert changes == play(straight, values)


def test_what_is_there_is_judged_when_a_sensor_falls_silent() -> None:
    watcher, values = detector(), shifted(400, 1, 8)
    changes = watcher.process(times(400, start_ms=AFTER_MS), values.T[:3], METRICS[:3])
    assert phases(changes)[0] is Phase.RAISED
    assert changes[0].explanation.sensors[0].name == "current_a"


def test_a_sensor_that_speaks_now_and_then_is_held_and_one_that_died_raises_nothing() -> None:
    values = healthy(900 + 400)[900:]
    values[np.arange(400) % 5 != 0, 3] = np.nan
    values[200:, 0] = np.nan
    watcher = detector()
    assert play(watcher, values) == []
    assert not np.isnan(watcher.scores[100:]).any()


def test_nothing_is_judged_when_every_sensor_is_silent() -> None:
    watcher = detector()
    assert play(watcher, np.full((100, 4), np.nan)) == []
    assert np.isnan(watcher.scores).all()
    assert watcher.score == 0


def test_columns_that_do_not_fit_are_refused_in_words() -> None:
    with pytest.raises(DetectionError, match="4 metrics at 3 times do not fit columns of"):
        detector().process(times(3), np.zeros((3, 4)), METRICS)


def test_the_leading_sensor_is_named_with_its_share() -> None:
    watcher = detector()
    assert watcher.leading() is None
    play(watcher, shifted(120, 1, 8))
    name, share = watcher.leading() or ("", 0)
    assert name == "current_a"
    assert share > 0.5


def test_a_machine_that_stops_is_off_and_no_alarm_and_is_judged_again_once_it_runs() -> None:
    watcher, values = detector(), healthy(900 + 900)[900:]
    values[300:500, :3] = 0.002 * np.random.default_rng(3).random((200, 3))
    assert play(watcher, values[:450]) == []
    assert (watcher.running, watcher.regime) == (Running.OFF, None)
    assert play(watcher, values[450:], start_ms=AFTER_MS + 450_000) == []
    assert (watcher.running, watcher.regime) == (Running.RUNNING, 0)
    assert not np.isnan(watcher.scores[-100:]).any()


def test_another_speed_that_was_learned_is_a_place_of_its_own_and_judged_there() -> None:
    values = healthy(3600)
    for start in (400, 1200, 2000, 2800):
        values[start : start + 400, :3] *= [0.6, 0.5, 0.64]
    watcher = Detector(fit(values[:2700], times(2700), METRICS).model)
    later = START_MS + 2_700_000
    assert play(watcher, values[2700:], start_ms=later) == []
    assert watcher.regime == 1
    slow = values[2850:3150].copy()
    slow[100:, 1] += 10 * DEVIATIONS[1]
    changes = play(watcher, slow, start_ms=later + 900_000)
    assert phases(changes)[:1] == [Phase.RAISED]
    assert changes[0].explanation.sensors[0].name == "current_a"


def test_a_sensor_that_stands_still_is_told_from_the_machine_and_left_out() -> None:
    watcher, values = detector(), healthy(900 + 300)[900:]
    values[100:250, 1] = values[100, 1] + 30 * DEVIATIONS[1]
    changes = play(watcher, values)
    assert [(change.alarm, change.phase) for change in changes] == [
        (Alarm.SENSOR, Phase.RAISED),
        (Alarm.SENSOR, Phase.CLEARED),
    ]
    assert changes[0].row < 110
    assert changes[0].explanation.sensors[0].name == "current_a"
    assert "check the sensor, not the machine" in changes[0].explanation.sentence["en"]
    assert watcher.sensors == {}


def test_a_sensor_that_is_missing_is_said_to_be() -> None:
    watcher = detector()
    watcher.process(times(60, start_ms=AFTER_MS), healthy(960)[900:].T[:3], METRICS[:3])
    assert watcher.sensors == {"motor_temperature_c": "missing"}


def test_a_machine_that_measures_too_rarely_for_what_was_learned_is_learning_until_rows_are_judged() -> None:
    watcher, values = detector(), healthy(900 + 200)[900:]
    for row in range(30):
        play(watcher, values[row : row + 1], start_ms=AFTER_MS + 30_000 * row)
        assert watcher.running is (Running.LEARNING if row >= 10 else Running.RUNNING), row
    assert watcher.regime == 0
    watcher = Detector(watcher.model, state=watcher.state())
    assert watcher.running is Running.LEARNING
    play(watcher, values[30:100], start_ms=AFTER_MS + 10**6)
    assert watcher.running is Running.RUNNING
    play(watcher, values[100:150], start_ms=AFTER_MS + 2 * 10**6)
    assert watcher.running is Running.RUNNING


def test_holes_between_rows_that_are_judged_leave_it_running() -> None:
    watcher, values = detector(), healthy(900 + 200)[900:]
    for hole in range(20):
        play(watcher, values[:50], start_ms=AFTER_MS + 1_000_000 * hole)
    play(watcher, values[:5], start_ms=AFTER_MS + 10**8)
    assert watcher.running is Running.RUNNING


def test_a_speed_that_was_seen_too_briefly_to_judge_is_being_learned() -> None:
    values = healthy(3600)
    for start in (400, 1200, 2000, 2800):
        values[start : start + 400, :3] *= [0.6, 0.5, 0.64]
    model = fit(values, times(3600), METRICS).model
    watcher = Detector(msgspec.structs.replace(model, normals=[model.normals[0], None]))
    slow, fast = (np.flatnonzero(np.isclose(values[:, 1], CENTRES[1] * by, atol=0.5))[50:150] for by in (0.5, 1))
    play(watcher, values[fast])
    assert (watcher.running, watcher.regime) == (Running.LEARNING, 1)
    watcher = Detector(watcher.model)
    play(watcher, values[slow])
    assert (watcher.running, watcher.regime) == (Running.RUNNING, 0)


@st.composite
def stories(draw: st.DrawFn) -> tuple[np.ndarray, Floats, list[int]]:
    """Times with holes and late rows, values with faults and silence, and where to cut them into blocks."""
    rows, seed = draw(st.integers(1, 320)), draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    values = healthy(900 + rows, seed=seed)[900:]
    start, channel = int(rng.integers(0, rows)), int(rng.integers(0, 4))
    values[start : start + int(rng.integers(1, 200)), channel] += rng.normal(0, 20) * DEVIATIONS[channel]
    frozen, stopped = int(rng.integers(0, rows)), int(rng.integers(0, rows))
    if draw(st.booleans()):
        values[frozen : frozen + int(rng.integers(1, 100)), int(rng.integers(0, 4))] = values[frozen, 0]
    if draw(st.booleans()):
        values[stopped : stopped + int(rng.integers(1, 100)), :3] *= 0.01
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.02, 0.3]))] = np.nan
    steps = rng.choice([1000, 2000, 0, -1500, 60_000], rows, p=[0.9, 0.07, 0.01, 0.01, 0.01])
    cuts = sorted(draw(st.sets(st.integers(0, rows), max_size=12)))
    return AFTER_MS + np.cumsum(steps), values, cuts


@settings(max_examples=60, deadline=None)
@given(stories())
def test_row_by_row_in_blocks_and_restored_in_between_agree_to_the_bit(
    story: tuple[np.ndarray, Floats, list[int]],
) -> None:
    at, values, cuts = story
    whole = Detector(MODEL)
    expected = whole.process(at, values.T, METRICS)
    scores = whole.scores
    for edges, restored in ((cuts, True), (list(range(len(at))), False)):
        watcher, found, pieces = Detector(MODEL), [], []
        for start, stop in zip([0, *edges], [*edges, len(at)], strict=True):
            changes = watcher.process(at[start:stop], values[start:stop].T, METRICS)
            found += [(change.row + start, change.phase, change.score, change.explanation) for change in changes]
            pieces.append(watcher.scores)
            if restored:
                watcher = Detector(MODEL, state=watcher.state())
        assert found == [(change.row, change.phase, change.score, change.explanation) for change in expected]
        np.testing.assert_array_equal(np.concatenate(pieces), scores)
        assert watcher.state() == whole.state()


def test_a_single_channel_is_judged_the_same_in_blocks_and_alone() -> None:
    values = healthy(1300)[:, :1]
    model = fit(values[:900], times(900), METRICS[:1]).model
    whole, single = Detector(model), Detector(model)
    whole.process(times(400), values[900:].T, METRICS[:1])
    alone = []
    for row in range(400):
        single.process(times(400)[row : row + 1], values[900 + row : 901 + row].T, METRICS[:1])
        alone.append(single.scores[0])
    np.testing.assert_array_equal(alone, whole.scores)


def test_the_state_is_small_even_with_many_channels_and_an_open_anomaly() -> None:
    watcher = detector()
    play(watcher, shifted(400, 1, 8))
    assert watcher.active
    assert len(watcher.state()) <= 20_000
    rng = np.random.default_rng(1)
    wide = [f"sensor {number}" for number in range(64)]
    many = Detector(fit(rng.standard_normal((900, 64)), times(900), wide).model)
    many.process(times(400), rng.standard_normal((64, 400)), wide)
    assert len(many.state()) <= 30_000


def test_another_models_state_hands_over_the_open_anomaly_and_the_position() -> None:
    old = detector()
    play(old, shifted(400, 1, 8))
    new = Detector(detector(seed=2).model, state=old.state())
    assert new.active
    assert new.position_ms == old.position_ms
    assert new.warming
    changes = play(new, healthy(900 + 400)[900:], start_ms=AFTER_MS + 400_000)
    assert phases(changes) == [Phase.CLEARED]


def test_bytes_that_are_no_state_are_refused() -> None:
    for payload in (b"", b"\x80", b"garbage"):
        with pytest.raises(DetectionError, match="not a detector's state"):
            Detector(MODEL, state=payload)


def test_extreme_values_neither_warn_nor_break() -> None:
    watcher = detector()
    huge = 1e300 * np.random.default_rng(1).uniform(0.5, 1, (200, 4))
    with np.errstate(all="raise"):
        changes = play(watcher, huge * np.sign(CENTRES))
    assert phases(changes)[0] is Phase.RAISED
    assert np.isfinite(watcher.scores[30:]).all()
