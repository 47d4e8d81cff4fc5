"""The detector's agent: nothing skipped, nothing doubled, whatever comes late, twice or after a crash."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.agents.anomaly_detection import KEEP_EVERY_MS, LOOK_TICKS, AnomalyDetectionAgent
from cloud.agents.assets import only
from cloud.agents.detection_ports import Snapshot
from contract.errors import TransientError
from contract.events import HopEvent, Phase
from tests.agents.detection_bench import DEVICE, SITE, Bench, anomalies, block, promotion, rows
from tests.support.machines import METRICS, START_MS


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_machine_without_a_model_is_not_judged(bench: Bench) -> None:
    assert await bench.agent.handle([block(rows(60, sick_from=20))]) == []


async def test_a_fault_is_raised_with_its_evidence_and_kept_with_the_state(bench: Bench) -> None:
    await bench.agent.handle([promotion()])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert (raised.phase, raised.device) == (Phase.RAISED, DEVICE)
    assert raised.evidence.sensors[0].name == METRICS[0]
    assert raised.evidence.sensors[0].unit == "g"
    assert set(raised.evidence.sentence) == {"en", "pt"}
    assert raised.id in bench.store.events
    assert bench.store.snapshots[SITE, DEVICE].position.seq == 79


async def test_rows_that_came_while_the_model_was_fitted_are_judged_once_it_is_there(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    await bench.agent.handle([sick])
    bench.store.stored = [sick]
    found = anomalies(await bench.agent.handle([promotion()]))
    assert [event.phase for event in found][:1] == [Phase.RAISED]


async def test_rows_that_are_not_stored_yet_are_waited_for(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    await bench.agent.handle([sick])
    assert anomalies(await bench.agent.handle([promotion()])) == []
    assert anomalies(await bench.agent.tick()) == []
    bench.store.stored = [sick]
    assert anomalies(await bench.agent.tick())


async def test_a_gap_is_read_from_the_store_before_going_on(bench: Bench) -> None:
    values = rows(120, sick_from=40)
    await bench.agent.handle([promotion()])
    first, missed, last = block(values[:40]), block(values[40:80], 40), block(values[80:], 80)
    await bench.agent.handle([first])
    bench.store.stored = [first, missed, last]
    found = anomalies(await bench.agent.handle([last]))
    whole = Bench()
    await whole.agent.handle([promotion()])
    assert [event.id for event in found] == [event.id for event in anomalies(await whole.agent.handle([block(values)]))]


async def test_a_gap_that_never_fills_does_not_stop_the_machine_being_judged(bench: Bench) -> None:
    values = rows(120, sick_from=60)
    await bench.agent.handle([promotion()])
    await bench.agent.handle([block(values[:30])])
    after, last = block(values[31:60], 31), block(values[60:], 60)
    bench.store.stored = [after]
    await bench.agent.handle([after])
    assert anomalies(await bench.agent.handle([last]))


async def test_rows_that_the_store_gets_late_are_not_skipped_however_long_it_takes(bench: Bench) -> None:
    values = rows(120, sick_from=40)
    await bench.agent.handle([promotion()])
    first, missed, last = block(values[:40]), block(values[40:80], 40), block(values[80:], 80)
    await bench.agent.handle([first])
    assert anomalies(await bench.agent.handle([last])) == []
    bench.clock.now += 3_600_000
    assert anomalies(await bench.agent.tick()) == []
    bench.store.stored = [first, missed, last]
    assert anomalies(await bench.agent.tick())


async def test_a_promotion_whose_announcement_was_lost_is_found_in_the_store(bench: Bench) -> None:
    await bench.agent.start()
    bench.store.promoted = [promotion()]
    for _ in range(LOOK_TICKS):
        await bench.agent.tick()
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))


async def test_an_older_announcement_that_the_broker_kept_does_not_undo_a_newer_promotion(bench: Bench) -> None:
    bench.store.promoted = [promotion("2", promoted_at_ms=START_MS + 1)]
    await bench.agent.start()
    await bench.agent.handle([promotion("1")])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "2"


async def test_what_a_crash_left_unpublished_is_published_once(bench: Bench) -> None:
    await bench.agent.handle([promotion()])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    bench.store.waiting = [raised]
    assert raised in await bench.restarted().start()
    await bench.agent.tick()
    assert bench.store.waiting == []


async def test_the_same_block_again_raises_nothing_again(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    await bench.agent.handle([promotion()])
    assert anomalies(await bench.agent.handle([sick]))
    assert anomalies(await bench.agent.handle([sick])) == []


async def test_readings_of_a_batch_are_judged_in_the_order_of_their_own_time(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    mixed = only(sick, np.random.default_rng(4).permutation(80).tolist())
    await bench.agent.handle([promotion()])
    (raised, *_) = anomalies(await bench.agent.handle([mixed]))
    other = Bench()
    await other.agent.handle([promotion()])
    (expected, *_) = anomalies(await other.agent.handle([sick]))
    assert (raised.since_ms, raised.measured_at_ms, raised.score) == (
        expected.since_ms, expected.measured_at_ms, expected.score
    )  # fmt: skip


async def test_a_failed_commit_loses_no_anomaly(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    await bench.agent.handle([promotion()])
    bench.store.away = 1
    with pytest.raises(TransientError):
        await bench.agent.handle([sick])
    assert anomalies(await bench.agent.handle([sick]))


async def test_a_restart_goes_on_where_the_last_state_was_kept(bench: Bench) -> None:
    values = rows(120, sick_from=50)
    bench.store.promoted = [promotion()]
    await bench.agent.start()
    await bench.agent.handle([block(values[:60])])
    await bench.agent.stop()
    await bench.restarted().start()
    found = anomalies(await bench.agent.handle([block(values[60:], 60)]))
    whole = Bench()
    await whole.agent.handle([promotion()])
    assert [event.id for event in found] == [event.id for event in anomalies(await whole.agent.handle([block(values)]))]


async def test_after_a_crash_the_same_rows_give_the_same_events(bench: Bench) -> None:
    sick = block(rows(80, sick_from=30))
    bench.store.promoted = [promotion()]
    await bench.agent.start()
    before = dict(bench.store.snapshots)
    first = anomalies(await bench.agent.handle([sick]))
    bench.store.snapshots = before
    await bench.restarted().start()
    second = anomalies(await bench.agent.handle([sick]))
    assert [event.id for event in first] == [event.id for event in second]


async def test_a_damaged_state_costs_the_window_and_nothing_more(bench: Bench) -> None:
    bench.store.promoted = [promotion()]
    await bench.agent.start()
    kept = bench.store.snapshots[SITE, DEVICE]
    bench.store.snapshots[SITE, DEVICE] = Snapshot(
        site=SITE, device=DEVICE, model_version="1", position=kept.position, state=b"damaged"
    )
    await bench.restarted().start()
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_neither_stops_nor_floods_the_keeping_of_states(bench: Bench, hours: int) -> None:
    await bench.agent.handle([promotion()])
    await bench.agent.handle([block(rows(10))])
    bench.clock.now += KEEP_EVERY_MS + 1
    await bench.agent.handle([block(rows(10), 10)])
    kept = bench.store.snapshots[SITE, DEVICE].position
    bench.clock.set_by(hours * 3_600_000)
    await bench.agent.handle([block(rows(10), 20)])
    assert bench.store.snapshots[SITE, DEVICE].position == kept, "it was kept a moment ago"
    bench.clock.now += KEEP_EVERY_MS + 1
    await bench.agent.handle([block(rows(10), 30)])
    assert bench.store.snapshots[SITE, DEVICE].position > kept


async def test_back_fill_is_judged_and_marked(bench: Bench) -> None:
    await bench.agent.handle([promotion()])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30), replayed=True)]))
    assert raised.replayed


async def test_a_traced_block_leaves_its_score_and_its_anomaly_as_hops(bench: Bench) -> None:
    await bench.agent.handle([promotion()])
    out = await bench.agent.handle([block(rows(80, sick_from=30), traced=True)])
    assert [event.did for event in out if isinstance(event, HopEvent)][:2] == ["scored", "raised"]


async def test_a_machine_of_another_partition_is_left_to_its_owner(bench: Bench) -> None:
    event = promotion()
    others = [number for number in range(64) if number != event.partition]
    agent = AnomalyDetectionAgent(bench.files, bench.store, bench.clock, bench.clock.elapsed, partitions=others)
    await agent.handle([event])
    assert bench.store.snapshots == {}
