"""What is learned from, what is found, and how that compares with a label that was kept out of sight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detection.model import Maturity
from ronda.trial.comparison import compared
from ronda.trial.errors import TrialError
from ronda.trial.example import emulated
from ronda.trial.lesson import learned_rows
from ronda.trial.page.overview import headline
from ronda.trial.recording import Recording, recorded
from ronda.trial.search import Trial, tried
from ronda.trial.words import Words
from tests.support.trials import NOW_MS, ONSET, ROWS, START_S, pump_csv


def healthy(rows: int, step_ms: int = 1000, seed: int = 1) -> Recording:
    rng = np.random.default_rng(seed)
    times = NOW_MS + step_ms * np.arange(rows, dtype=np.int64)
    return Recording(name="made up", times=times, values=rng.standard_normal((rows, 3)) + 10, metrics=["a", "b", "c"])


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return tried(recorded(pump_csv(tmp_path_factory.mktemp("pump")), now_ms=NOW_MS))


@pytest.mark.parametrize(
    ("rows", "step_ms", "learned"),
    [(600, 1000, 200), (20_000, 1000, 1800), (300, 1000, 120), (20_000, 60_000, 1800), (90_000, 10, 30_000)],
)
def test_a_third_is_learned_from_and_at_most_half_an_hour(rows: int, step_ms: int, learned: int) -> None:
    assert learned_rows(healthy(rows, step_ms), None) == learned


@pytest.mark.parametrize(
    ("asked", "learned"), [("400", 400), ("10m", 600), ("0.1h", 360), ("150 s", 150), ("2,5min", 150)]
)
def test_the_healthy_beginning_can_be_asked_for(asked: str, learned: int) -> None:
    assert learned_rows(healthy(1000), asked) == learned


@pytest.mark.parametrize(
    ("rows", "asked", "why"),
    [
        (100, None, "100 rows are too few"),
        (1000, "50", "50 rows are too few to learn from"),
        (1000, "990", "takes 990 of 1,000 rows"),
        (1000, "1h", "takes 1,000 of 1,000 rows"),
        (1000, "a while", "neither a number of rows, such as 400, nor a duration such as 30m"),
    ],
)
def test_a_lesson_that_cannot_be_is_refused(rows: int, asked: str | None, why: str) -> None:
    with pytest.raises(TrialError, match=why):
        learned_rows(healthy(rows), asked)


def test_a_blocked_valve_is_found_and_its_flow_named(blocked: Trial) -> None:
    found = blocked.found[0]
    assert len(blocked.found) == 1
    assert START_S + ONSET <= found.since_ms / 1000 <= START_S + ONSET + 60
    assert found.until_ms is None
    assert "flow_lpm" in [sensor.name for sensor in found.raised.sensors if sensor.outside]
    assert "flow" in found.raised.sentence["en"]
    assert "vazão" in found.raised.sentence["pt"]


def test_what_it_looks_like_is_said_with_its_source(blocked: Trial) -> None:
    cause = blocked.found[0].cause
    assert cause is not None
    assert cause.source
    assert set(cause.sentence) == {"en", "pt"}


def test_every_reading_has_a_score_but_those_that_fill_a_window(blocked: Trial) -> None:
    assert len(blocked.scores) == ROWS
    assert np.isnan(blocked.scores).sum() < 50
    assert blocked.unjudged == []
    assert np.nanmax(blocked.scores[: blocked.learn]) < 1


def test_the_label_is_compared_with_and_never_learned(blocked: Trial) -> None:
    comparison = compared(blocked)
    assert comparison is not None
    assert "anomaly" not in blocked.fitted.model.metrics
    assert [stretch.found for stretch in comparison.stretches] == [True]
    assert 10_000 <= (comparison.stretches[0].delay_ms or 0) < 60_000
    assert comparison.false_alarms == 0
    assert comparison.learned_faulty_rows == 0


def test_an_alarm_outside_every_labelled_stretch_is_a_false_one(blocked: Trial) -> None:
    labels = np.zeros(ROWS, dtype=np.int64)
    labels[100:120] = labels[700:720] = 1
    comparison = compared(with_label(blocked, labels))
    assert comparison is not None
    assert [(each.found, each.learned) for each in comparison.stretches] == [(False, True), (False, False)]
    assert comparison.false_alarms == 1
    assert comparison.learned_faulty_rows == 20


def with_label(trial: Trial, labels: np.ndarray) -> Trial:
    before = trial.recording
    recording = Recording(
        name=before.name, times=before.times, values=before.values, metrics=before.metrics, labels={"label": labels}
    )
    return Trial(recording=recording, learn=trial.learn, fitted=trial.fitted, scores=trial.scores, found=trial.found)


def test_a_healthy_pump_raises_nothing(tmp_path: Path) -> None:
    trial = tried(recorded(pump_csv(tmp_path, fault=False), now_ms=NOW_MS))
    assert trial.found == []


def test_a_sensor_that_stands_still_is_told_apart_from_the_machine() -> None:
    recording = healthy(2000)
    recording.values[1200:1500, 1] = recording.values[1200, 1]
    trial = tried(recording)
    assert [(found.about_sensor, found.raised.sensors[0].name) for found in trial.found] == [(True, "b")]
    assert trial.anomalies == []
    assert headline(trial, Words("en")).endswith("of data. A sensor failed once.")


@pytest.mark.parametrize("step_ms", [10, 1000, 600_000])
def test_a_shift_is_found_at_any_rate(step_ms: int) -> None:
    recording = healthy(3000, step_ms)
    recording.values[2000:, 1] += 4
    trial = tried(recording)
    assert [found.raised.sensors[0].name for found in trial.found] == ["b"]
    at = int(np.searchsorted(recording.times, trial.found[0].raised_ms))
    assert 2000 <= at < 2000 + max(60, 60_000 // step_ms)


def test_a_stricter_sensitivity_finds_less() -> None:
    recording = healthy(2000)
    recording.values[1500:, 1] += 1.5
    assert len(tried(recording, sensitivity=1.2).found) == 1
    assert tried(recording, sensitivity=8).found == []


def test_the_emulated_pump_is_ready_and_its_wear_is_found() -> None:
    trial = tried(emulated(NOW_MS))
    assert trial.fitted.model.maturity is Maturity.READY
    comparison = compared(trial)
    assert comparison is not None
    assert [stretch.found for stretch in comparison.stretches] == [True]
    assert comparison.false_alarms == 0


def test_a_beginning_from_which_nothing_can_be_learned_is_refused() -> None:
    recording = healthy(1000)
    recording.values[:500] = np.nan
    with pytest.raises(TrialError, match="nothing can be learned from the first 333 rows"):
        tried(recording)
