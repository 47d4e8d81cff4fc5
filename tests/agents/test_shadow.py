"""A challenger is judged beside the champion: counted, never heard, and never in its way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cloud.agents.shadow import Budget, Shadow
from contract.events import Event, ModelRefusedEvent, ModelRole
from detection.detector import Detector
from detection.fit import fit
from detection.model import Model
from detection.settings import Settings
from tests.agents.detection_bench import LEARNED, MODEL, Bench, anomalies, block, promotion, rows
from tests.support.machines import METRICS, START_MS, healthy, times

# Rows that neither judges, since the window fills.
WINDOW = MODEL.settings.window
CHALLENGER = ModelRole.CHALLENGER


@pytest.fixture
def bench() -> Bench:
    return Bench()


def stricter() -> Model:
    return fit(healthy(LEARNED), times(LEARNED), METRICS, Settings(sensitivity=1.0)).model


async def test_an_hour_of_both_is_counted_and_only_the_champion_is_heard(bench: Bench) -> None:
    bench.files.models["2"] = stricter()
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([promotion("2", role=CHALLENGER)])
    found = list(await bench.agent.handle([block(rows(120, sick_from=80))]))
    assert {event.model.version for event in anomalies(found)} == {"1"}
    await bench.agent.stop()
    (tally,) = bench.store.tallies
    assert (tally.version, tally.champion) == ("2", "1")
    assert tally.rows == 120 - WINDOW + 1
    assert tally.beyond_challenger >= tally.beyond_champion > 20
    assert tally.beyond_both == tally.beyond_champion


async def test_each_hour_of_the_data_is_a_row_of_its_own(bench: Bench) -> None:
    shadow = Shadow(promotion("2", role=CHALLENGER), Detector(MODEL))
    values = healthy(7000)
    champion = Detector(MODEL)
    for first in range(0, 7000, 100):
        part = block(values[first : first + 100], first)
        champion.process(part.measured_at_ms, part.values, METRICS)
        shadow.judge(part, promotion().model, champion.scores, Budget(lambda: 0.0))
    ended = shadow.close()
    assert len(ended) == 3
    assert sum(tally.rows for tally in ended) == 7000 - WINDOW + 1
    assert all(one.through_ms < next_.from_ms for one, next_ in itertools.pairwise(ended))
    assert len({tally.from_ms // 3_600_000 for tally in ended}) == 3


async def test_a_withdrawn_challenger_is_judged_no_more(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([promotion("2", role=CHALLENGER)])
    await bench.agent.handle([block(rows(60))])
    await bench.agent.handle([promotion("2", START_MS + 1, role=CHALLENGER, artifact_uri="")])
    await bench.agent.handle([block(rows(60), 60)])
    await bench.agent.stop()
    assert [tally.rows for tally in bench.store.tallies] == [60 - WINDOW + 1]


async def test_a_challenger_that_becomes_champion_is_no_challenger_any_more(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([promotion("2", role=CHALLENGER)])
    await bench.agent.handle([block(rows(60))])
    await bench.agent.handle([promotion("2", START_MS + 1)])
    await bench.agent.handle([block(rows(60), 60)])
    await bench.agent.stop()
    assert [(tally.champion, tally.rows) for tally in bench.store.tallies] == [("1", 60 - WINDOW + 1)]


async def test_a_challenger_announced_before_the_champion_came_waits_for_it(bench: Bench) -> None:
    await bench.agent.handle([promotion("2", role=CHALLENGER)])
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(60))])
    await bench.agent.stop()
    assert [tally.rows for tally in bench.store.tallies] == [60 - WINDOW + 1]


async def test_a_tampered_challenger_is_refused_and_said_like_a_champion(bench: Bench) -> None:
    bench.files.tampered = {"2"}
    await bench.agent.handle([promotion("1")])
    found: list[Event] = list(await bench.agent.handle([promotion("2", role=CHALLENGER)]))
    (refused,) = [event for event in found if isinstance(event, ModelRefusedEvent)]
    assert (refused.model.version, refused.in_use and refused.in_use.version) == ("2", "1")


class Broken(Detector):
    """Stumbles over everything."""

    def process(self, *_: object) -> list[object]:  # type: ignore[override]  # it never gets so far
        raise ZeroDivisionError


def test_a_challenger_that_stumbles_is_left_out_and_raises_nothing() -> None:
    shadow = Shadow(promotion("2", role=CHALLENGER), Broken(MODEL))
    for first in (0, 30):
        shadow.judge(block(rows(30), first), promotion().model, np.zeros(30), Budget())
    assert shadow.close() == []


def test_a_challenger_is_passed_over_and_counted_when_its_time_is_spent_or_the_champion_is_behind() -> None:
    ticking = iter(range(1000))
    budget = Budget(lambda: float(next(ticking)), seconds=0.5)
    shadow = Shadow(promotion("2", role=CHALLENGER), Detector(MODEL))
    for first in (0, 30):
        shadow.judge(block(rows(30), first), promotion().model, np.zeros(30), budget)
    assert shadow.skipped == 30
    shadow.judge(block(rows(30), 60), promotion().model, np.zeros(30), None)
    assert shadow.skipped == 60
    budget.renew()
    shadow.judge(block(rows(30), 90), promotion().model, np.zeros(30), budget)
    assert shadow.skipped == 60


async def test_a_restart_begins_the_shadow_anew_and_changes_nothing_for_the_champion(bench: Bench) -> None:
    bench.store.promoted = [promotion("1")]
    bench.store.challenging = [promotion("2", role=CHALLENGER)]
    await bench.agent.start()
    await bench.agent.handle([block(rows(60))])
    await bench.agent.stop()
    await bench.restarted().start()
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=20), 60)]))
    await bench.agent.stop()
    assert [tally.rows for tally in bench.store.tallies] == [60 - WINDOW + 1, 80 - WINDOW + 1]
