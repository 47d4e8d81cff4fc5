"""Our reading of the benchmark's protocol gives the acceptance scorer's figures, to the digit."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import pytest

from benchmarks.skab_peers import PEERS, always_on, ecod, t2_and_q
from benchmarks.skab_protocol import PROFILES, Recording, counted, pooled, recordings, turns, windows
from tests.support.datasets import datasets

# What the acceptance scorer prints for its own T²+Q on the development recordings.
T2Q = (0.7765120694331434, 22.450175849941385, 23.55140186915888)
T2Q_NAB = (38.91612709452126, 28.309568469605296, 45.76390454950066)


@pytest.fixture(scope="module")
def files() -> list[Recording]:
    found = recordings(datasets() / "skab")
    assert len(found) == 11
    return found


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    path = datasets().parent / "tools" / "skab_eval.py"
    if not path.is_file():
        pytest.skip(f"no acceptance scorer at {path}")
    spec = importlib.util.spec_from_file_location("skab_eval", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_leaderboards_row_is_met_to_the_digit(files):
    flags = [t2_and_q(file.train.to_numpy())(file.test.to_numpy()) for file in files]
    counts = pooled([counted(file, flag) for file, flag in zip(files, flags, strict=True)])
    assert (counts.f1, counts.far, counts.mar) == pytest.approx(T2Q, abs=1e-12)
    assert tuple(map(counts.nab_score, PROFILES)) == pytest.approx(T2Q_NAB, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_the_scorers(files, scorer, seed):
    data, draw = scorer.load(str(datasets() / "skab")), np.random.default_rng(seed)
    flags = {f.name: np.repeat(draw.random(len(f.test)) < 0.5, 7)[: len(f.test)] for f in files}
    changes = {f.name: draw.random(len(f.test)) < 0.01 for f in files} if seed else None
    theirs = scorer.evaluate(data, flags, changes)
    ours = pooled([counted(f, flags[f.name], changes[f.name] if changes else None) for f in files])
    assert (ours.f1, ours.far, ours.mar) == pytest.approx([theirs[key] for key in ("F1", "FAR", "MAR")], abs=1e-12)
    names = ("NAB_std", "NAB_lowFP", "NAB_lowFN")
    assert tuple(map(ours.nab_score, PROFILES)) == pytest.approx([theirs[name] for name in names], abs=1e-9)


def test_an_alarm_that_is_always_on_scores_seventy_percent_for_nothing(files):
    counts = pooled([counted(file, always_on(file.train.to_numpy())(file.test.to_numpy())) for file in files])
    assert counts.f1 == pytest.approx(0.69, abs=0.01)
    assert (counts.far, counts.mar) == (100, 0)


def test_silence_scores_nothing_and_misses_all(files):
    counts = pooled([counted(file, np.zeros(len(file.test), dtype=bool)) for file in files])
    assert (counts.f1, counts.far, counts.mar) == (0, 0, 100)
    assert [counts.nab_score(profile) for profile in PROFILES] == [0, 0, 0]


def test_of_two_windows_that_overlap_the_later_begins_where_the_earlier_ends():
    assert windows(np.array([0.0, 20.0, 300.0])) == [(0, 60), (60, 80), (300, 360)]


def test_a_flag_turns_where_it_goes_on_or_off_and_a_first_row_that_is_flagged_counts():
    assert turns(np.array([True, True, False, True])).tolist() == [True, False, True, True]


@pytest.mark.parametrize("name", PEERS)
def test_no_peer_needs_a_later_row(files, name):
    judge, rows = PEERS[name](files[0].train.to_numpy()), files[0].test.to_numpy()
    whole = judge(rows)
    for cut in (1, 4, 100):
        assert np.array_equal(judge(rows[:cut]), whole[:cut])


def test_ecod_sums_the_surprise_of_the_rarer_tail():
    train = np.linspace(0, 1, 200)[:, None] ** [1.0, 3.0]
    judge = ecod(train)
    assert judge(np.array([[2.0, 2.0], [0.5, 0.5**3], [-1.0, -1.0]])).tolist() == [True, False, True]
