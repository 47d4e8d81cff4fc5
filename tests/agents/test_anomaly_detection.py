"""The detector's agent: nothing skipped, nothing doubled, whatever comes late, twice or after a crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from cloud.agents.anomaly_detection import LOOK_TICKS, AnomalyDetectionAgent, Snapshot
from cloud.agents.assets import Position
from contract.errors import RondaError, TransientError
from contract.events import (
    AnomalyDetectedEvent,
    Event,
    HopEvent,
    ModelPromotedEvent,
    ModelRef,
    Phase,
    Readings,
    ValidatedDataEvent,
)
from detection.fit import fit
from detection.model import Model
from tests.support.machines import METRICS, START_MS, UNITS, healthy, times

LEARNED = 900
BOOT = "9f2c41d07be3a655"
SITE, DEVICE = "plant-1", "pump-07"


def rows(count: int, *, sick_from: int | None = None, seed: int = 2) -> np.ndarray:
    """Healthy rows (count, 4), the vibration tripled from `sick_from` on."""
    values = healthy(count, seed)
    if sick_from is not None:
        values[sick_from:, 0] *= 3
    return values


def block(
    values: np.ndarray, first_seq: int = 0, *, traced: bool = False, replayed: bool = False
) -> ValidatedDataEvent:
    seq = list(range(first_seq, first_seq + len(values)))
    return ValidatedDataEvent(
        site=SITE,
        device=DEVICE,
        boot=BOOT,
        received_at_ms=START_MS,
        metrics=METRICS,
        seq=seq,
        measured_at_ms=[START_MS + (LEARNED + number) * 1000 for number in seq],
        values=values.T.tolist(),
        traced=traced,
        replayed=replayed,
    )


def promotion(version: str = "1", promoted_at_ms: int = START_MS) -> ModelPromotedEvent:
    return ModelPromotedEvent(
        site=SITE,
        device=DEVICE,
        model=ModelRef(name="ronda.plant-1.pump-07", version=version, run_id="r", sha256="s"),
        artifact_uri=f"memory:{version}",
        data_hash="d",
        trained_through_ms=START_MS + (LEARNED - 1) * 1000,
        promoted_at_ms=promoted_at_ms,
    )


class Files:
    """One healthy model under every address, unless it is said to be tampered with."""

    def __init__(self) -> None:
        self.model = fit(healthy(LEARNED), times(LEARNED), METRICS).model
        self.tampered = False

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        if self.tampered:
            raise RondaError("the model was changed after its promotion")
        return self.model


class Store:
    """Remembers what was kept, and hands out what was stored."""

    def __init__(self) -> None:
        self.stored: list[ValidatedDataEvent] = []
        self.snapshots: dict[tuple[str, str], Snapshot] = {}
        self.events: dict[str, AnomalyDetectedEvent] = {}
        self.promoted: list[ModelPromotedEvent] = []
        self.away = 0
        self.waiting: list[AnomalyDetectedEvent] = []

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        return self.promoted

    async def snapshot(self, site: str, device: str) -> Snapshot | None:
        return self.snapshots.get((site, device))

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        return [each for each in self.stored if Position(each.measured_at_ms[0], each.boot, each.seq[0]) > after]

    async def keep(self, snapshots: Sequence[Snapshot], events: Sequence[AnomalyDetectedEvent]) -> None:
        if self.away:
            self.away -= 1
            raise TransientError("the database is away")
        self.snapshots |= {(each.site, each.device): each for each in snapshots}
        self.events |= {event.id: event for event in events}

    async def unpublished(self) -> Sequence[AnomalyDetectedEvent]:
        return self.waiting

    async def published(self, events: Sequence[AnomalyDetectedEvent]) -> None:
        self.waiting = [event for event in self.waiting if event not in events]

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        return UNITS


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = float(START_MS)

    def __call__(self) -> float:
        return self.now


class Bench:
    """An agent with its remembering surroundings."""

    def __init__(self) -> None:
        self.files, self.store, self.clock = Files(), Store(), Clock()
        self.agent = self.restarted()

    def restarted(self) -> AnomalyDetectionAgent:
        self.agent = AnomalyDetectionAgent(self.files, self.store, self.clock)
        return self.agent


@pytest.fixture
def bench() -> Bench:
    return Bench()


def anomalies(events: Sequence[Event]) -> list[AnomalyDetectedEvent]:
    return [event for event in events if isinstance(event, AnomalyDetectedEvent)]


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


async def test_a_tampered_model_is_refused_and_the_old_one_stays(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    bench.files.tampered = True
    await bench.agent.handle([promotion("2")])
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))
    assert raised.model.version == "1"


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


async def test_a_damaged_state_costs_the_window_and_nothing_more(bench: Bench) -> None:
    bench.store.promoted = [promotion()]
    await bench.agent.start()
    kept = bench.store.snapshots[SITE, DEVICE]
    bench.store.snapshots[SITE, DEVICE] = Snapshot(
        site=SITE, device=DEVICE, model_version="1", position=kept.position, state=b"damaged"
    )
    await bench.restarted().start()
    assert anomalies(await bench.agent.handle([block(rows(80, sick_from=30))]))


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
    agent = AnomalyDetectionAgent(bench.files, bench.store, bench.clock, partitions=others)
    await agent.handle([event])
    assert bench.store.snapshots == {}
