"""Models are taken up between two batches; what cannot be trusted or fetched leaves the one in use in place."""

from __future__ import annotations

import asyncio

import pytest

from cloud.agents.anomaly_detection import LOOK_TICKS
from cloud.agents.uptake import News, news
from contract.errors import TransientError
from contract.events import Event, ModelRefusedEvent, Phase
from detection.detector import Detector
from detection.fit import fit
from detection.model import Model
from detection.settings import Settings
from tests.agents.detection_bench import DEVICE, LEARNED, SITE, Bench, anomalies, block, promotion, rows
from tests.support.machines import METRICS, START_MS, healthy, times
from tests.support.remembered import remembered


@pytest.fixture
def bench() -> Bench:
    return Bench()


def learned(sensitivity: float) -> Model:
    """The machine's model, at another strictness."""
    return fit(healthy(LEARNED), times(LEARNED), METRICS, Settings(sensitivity=sensitivity)).model


def refusals(events: list[Event]) -> list[ModelRefusedEvent]:
    return [event for event in events if isinstance(event, ModelRefusedEvent)]


def test_the_later_promotion_counts_and_not_the_larger_version() -> None:
    in_use = promotion("2", promoted_at_ms=20)
    assert news(promotion("1"), None, refused=False) is News.NEW
    assert news(promotion("1", promoted_at_ms=30), in_use, refused=False) is News.NEW
    assert news(promotion("3", promoted_at_ms=10), in_use, refused=False) is News.OLDER
    assert news(promotion("2", promoted_at_ms=30), in_use, refused=False) is News.IN_USE
    assert news(promotion("3", promoted_at_ms=30), in_use, refused=True) is News.REFUSED


async def test_a_tampered_model_is_refused_and_said_and_the_old_one_stays(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.tampered = {"2"}
    (refused,) = refusals(list(await bench.agent.handle([promotion("2")])))
    assert (refused.model.version, refused.in_use and refused.in_use.version) == ("2", "1")
    assert "changed after its promotion" in refused.why
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "1"


async def test_a_refusal_is_said_once_also_after_a_restart(bench: Bench) -> None:
    bench.files.tampered = {"1"}
    bench.store.promoted = bench.store.history = [promotion("1")]
    assert len(refusals(list(await bench.agent.start()))) == 1
    assert refusals(list(await bench.agent.handle([promotion("1")]))) == []
    assert refusals(list(await bench.restarted().start())) == []


async def test_a_refusal_that_was_committed_without_an_answer_is_said_once(bench: Bench) -> None:
    bench.files.tampered, bench.store.unanswered = {"1"}, 1
    with pytest.raises(TransientError):
        await bench.agent.handle([promotion("1")])
    said = refusals(list(await bench.agent.handle([promotion("1")])))
    for _ in range(3 * LOOK_TICKS):
        said += refusals(list(await bench.agent.tick()))
    assert [refusal.model.version for refusal in said] == ["1"]
    assert bench.store.waiting == []
    assert refusals(list(await bench.restarted().start())) == []


async def test_a_clock_that_is_set_back_keeps_no_model_waiting(bench: Bench) -> None:
    bench.files.away = {"1"}
    await bench.agent.handle([promotion("1")])
    bench.files.away = set()
    bench.clock.set_by(-3_600_000)
    bench.clock.now += 2_000
    for _ in range(3):
        await bench.agent.tick()
        await asyncio.sleep(0)
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))


async def test_after_a_restart_the_model_before_the_refused_one_goes_on(bench: Bench) -> None:
    await bench.agent.handle([promotion("1", promoted_at_ms=10)])
    await bench.agent.handle([block(rows(30))])
    await bench.agent.stop()
    bench.files.tampered = {"3", "2"}
    bench.store.history = [promotion(str(number), promoted_at_ms=10 * number) for number in (1, 2, 3)]
    bench.store.promoted = [promotion("3", promoted_at_ms=30)]
    agent = bench.restarted()
    assert [event.model.version for event in refusals(list(await agent.start()))] == ["3", "2"]
    (raised, *_) = anomalies(await agent.handle([block(rows(80, sick_from=30), 30)]))
    assert raised.model.version == "1"


async def test_a_model_of_an_earlier_format_is_no_refusal(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.files.outdated = {"1"}
    bench.store.promoted = bench.store.history = [promotion("1")]
    with caplog.at_level("WARNING", "ronda.agents.detection"):
        assert refusals(list(await bench.agent.start())) == []
        for _ in range(3 * LOOK_TICKS):
            assert refusals(list(await bench.agent.tick())) == []
    assert [record.message for record in caplog.records] == ["model.outdated"]
    assert bench.store.refusals == {}


async def test_after_a_restart_a_good_copy_of_the_very_version_goes_on_and_the_tampering_is_said(bench: Bench) -> None:
    bench.files.tampered, bench.files.copies = {"2"}, {"2": learned(3.0)}
    bench.store.history = [promotion("1", promoted_at_ms=10), promotion("2", promoted_at_ms=20)]
    bench.store.promoted = bench.store.history[1:]
    (refused,) = refusals(list(await bench.agent.start()))
    assert (refused.model.version, refused.in_use) == ("2", refused.model)
    assert bench.files.asked == ["2"]
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "2"
    assert refusals(list(await bench.restarted().start())) == []


async def test_the_same_model_promoted_again_after_it_was_mended_is_taken_up(bench: Bench) -> None:
    bench.files.tampered = {"2"}
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    bench.files.tampered = set()
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 2)])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "2"


async def test_a_registry_that_is_away_is_asked_again_later_and_later_and_scoring_goes_on(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.away = {"2"}
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "1"
    bench.files.asked.clear()
    for _ in range(300):
        bench.clock.now += 1000
        await bench.agent.tick()
        await asyncio.sleep(0)
    assert 8 <= len(bench.files.asked) <= 12
    bench.files.away = set()
    for _ in range(62):
        bench.clock.now += 1000
        await bench.agent.tick()
        await asyncio.sleep(0)
    await bench.agent.tick()
    assert bench.store.snapshots[SITE, DEVICE].model_version == "2"


async def test_a_model_that_is_slow_to_come_holds_up_no_reading(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.slow["2"] = asyncio.Event()
    async with asyncio.timeout(2):
        await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
        (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "1"
    bench.files.slow["2"].set()
    await asyncio.sleep(0)
    await bench.agent.tick()
    assert bench.store.snapshots[SITE, DEVICE].model_version == "2"


async def test_of_two_announced_in_a_row_only_the_later_is_put_to_use(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.slow["2"] = asyncio.Event()
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    await bench.agent.handle([promotion("3", promoted_at_ms=START_MS + 2)])
    bench.files.slow["2"].set()
    await asyncio.sleep(0)
    await bench.agent.tick()
    assert bench.store.snapshots[SITE, DEVICE].model_version == "3"


async def test_a_roll_back_stops_what_was_on_its_way(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.slow["2"] = asyncio.Event()
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    await bench.agent.handle([promotion("1", promoted_at_ms=START_MS + 2)])
    bench.files.slow["2"].set()
    await asyncio.sleep(0)
    await bench.agent.tick()
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    assert bench.store.snapshots[SITE, DEVICE].model_version == "1"


async def test_a_store_that_is_away_during_a_swap_costs_nothing(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.store.units_away = 1
    with pytest.raises(TransientError):
        await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "2"


async def test_swapping_ten_times_skips_and_doubles_no_reading(bench: Bench) -> None:
    """What is left in memory is what an offline detector has, which was given each reading once, with those models."""
    strictness = {"1": 2.5, "2": 3.0, "3": 2.0}
    bench.files.models = {version: learned(each) for version, each in strictness.items()}
    values = rows(400, sick_from=330)
    versions = [str(1 + number % 3) for number in range(10)]
    state: bytes | None = None
    for number, version in enumerate(versions):
        # Forth and back: every second time to a version whose training ended long before.
        offset_s = 600 if number % 2 else -300
        through_ms = START_MS + (LEARNED - 1 + (offset_s if number else 0)) * 1000
        await bench.agent.handle([promotion(version, START_MS + number, trained_through_ms=through_ms)])
        part = block(values[40 * number : 40 * number + 40], 40 * number)
        await bench.agent.handle([part, part])
        alone = Detector(bench.files.models[version], device=DEVICE, state=state)
        alone.process(part.measured_at_ms, part.values, METRICS)
        state = alone.state()
    await bench.agent.stop()
    assert bench.store.snapshots[SITE, DEVICE].position.seq == 399
    assert remembered(bench.store.snapshots[SITE, DEVICE].state) == remembered(state or b"")


async def test_a_new_model_is_swapped_in_between_two_batches_and_an_open_anomaly_stays_one(bench: Bench) -> None:
    values = rows(200, sick_from=30)
    values[120:] = healthy(80, 3)
    await bench.agent.handle([promotion("1")])
    (raised, *_) = anomalies(await bench.agent.handle([block(values[:80])]))
    await bench.agent.handle([promotion("2")])
    later = anomalies(await bench.agent.handle([block(values[80:], 80)]))
    assert {event.anomaly_id for event in later} == {raised.anomaly_id}
    assert later[-1].phase is Phase.CLEARED
    assert later[-1].model.version == "2"


async def test_rows_between_the_position_and_the_end_of_the_new_training_are_not_skipped(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(30))])
    later = promotion("2", promoted_at_ms=START_MS + 1, trained_through_ms=START_MS + (LEARNED + 5000) * 1000)
    await bench.agent.handle([later])
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=30), 30)]))


async def test_a_swap_while_the_machine_is_behind_still_waits_for_what_it_missed(bench: Bench) -> None:
    values = rows(120, sick_from=40)
    await bench.agent.handle([promotion("1")])
    first, missed, last = block(values[:40]), block(values[40:80], 40), block(values[80:], 80)
    await bench.agent.handle([first])
    assert anomalies(await bench.agent.handle([last])) == []
    await bench.agent.handle([promotion("2", promoted_at_ms=START_MS + 1)])
    bench.store.stored = [first, missed, last]
    (raised, *_) = anomalies(await bench.agent.tick())
    assert raised.seq < 80


async def test_the_last_reading_of_a_block_that_comes_again_is_not_judged_twice(bench: Bench) -> None:
    part = block(rows(60))
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([part])
    await bench.agent.stop()
    once = bench.store.snapshots[SITE, DEVICE].state
    await bench.agent.handle([part])
    await bench.agent.stop()
    assert remembered(bench.store.snapshots[SITE, DEVICE].state) == remembered(once)


async def test_looking_into_the_store_does_not_fetch_what_is_in_use_again(bench: Bench) -> None:
    bench.store.promoted = [promotion("1")]
    await bench.agent.start()
    for _ in range(3 * LOOK_TICKS):
        await bench.agent.tick()
    assert bench.files.asked == ["1"]
