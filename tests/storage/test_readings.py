"""Reading back: for a chart, for the detector that catches up, for the trainer and for a trace."""

from __future__ import annotations

import numpy as np
import pytest

from cloud.storage.database import Database
from cloud.storage.devices import SEED_ORIGIN, DeviceStore
from cloud.storage.promotions import Promotion, PromotionStore
from cloud.storage.reading_blocks import LastSeen, Learner, Position
from cloud.storage.readings import ReadingStore
from tests.support.readings import BOOT, DEVICE, METRICS, SITE, START_MS, block

OTHER_BOOT = "0123456789abcdef"


@pytest.fixture
def store(database: Database) -> ReadingStore:
    return ReadingStore(database)


async def test_the_newest_of_a_period_come_oldest_first(store: ReadingStore) -> None:
    await store.store([block(range(20))], [])
    found = await store.readings(SITE, DEVICE, from_ms=START_MS + 2000, to_ms=START_MS + 9000, limit=3)
    assert found.seq == [7, 8, 9]
    assert found.metrics == list(METRICS)
    assert found.values == [[7.0, 8.0, 9.0], [7.1, 8.1, 9.1], [7.2, 8.2, 9.2]]


async def test_a_device_without_readings_gives_an_empty_block(store: ReadingStore) -> None:
    found = await store.readings(SITE, "nobody", limit=3)
    assert (len(found), found.metrics, found.values, found.end) == (0, [], [], None)
    assert len(await store.training_rows(SITE, "nobody", limit=3)) == 0


async def test_the_detector_reads_on_in_the_order_of_the_devices_own_time(store: ReadingStore) -> None:
    late = block(range(5), boot=OTHER_BOOT, measured_at_ms=[START_MS + 500 + 1000 * n for n in range(5)], replayed=True)
    await store.store([block(range(5)), late], [])
    seen: list[tuple[int, bool]] = []
    position: Position | None = Position(START_MS, BOOT, 0)
    while position is not None:
        found = await store.rows_after(SITE, DEVICE, position, limit=4)
        seen += zip(found.measured_at_ms, found.replayed, strict=True)
        position = found.end
    assert seen == [(START_MS + 500 * n, n % 2 == 1) for n in range(1, 10)]


async def test_readings_of_one_instant_are_each_read_once(store: ReadingStore) -> None:
    await store.store([block(range(6), measured_at_ms=[START_MS] * 6)], [])
    first = await store.rows_after(SITE, DEVICE, Position(START_MS), limit=4)
    assert first.end is not None
    rest = await store.rows_after(SITE, DEVICE, first.end, limit=4)
    assert first.seq + rest.seq == [0, 1, 2, 3, 4, 5]


async def test_the_trainer_gets_the_first_rows_as_arrays(store: ReadingStore) -> None:
    silent = block([2], metrics=list(METRICS[:1]), values=[[2.0]])
    await store.store([block([0, 1]), silent, block(range(3, 400))], [])
    rows = await store.training_rows(SITE, DEVICE, limit=100)
    assert (rows.values.shape, rows.values.dtype, rows.measured_at_ms.dtype) == ((100, 3), np.float64, np.int64)
    assert rows.metrics == list(METRICS)
    assert np.isnan(rows.values[2, 1:]).all()
    assert np.array_equal(rows.values[3], [3.0, 3.1, 3.2])
    later = await store.training_rows(SITE, DEVICE, limit=100, from_ms=START_MS + 350_000, to_ms=START_MS + 360_000)
    assert len(later) == 11


async def test_a_reading_is_found_by_its_identity_and_by_its_correlation_id(store: ReadingStore) -> None:
    await store.store([block([0, 1])], [])
    found = await store.find(SITE, DEVICE, BOOT, 1)
    assert found is not None
    assert (found.measured_at_ms, found.values) == (START_MS + 1000, dict(zip(METRICS, (1.0, 1.1, 1.2), strict=True)))
    assert await store.by_correlation(f"{SITE}.{DEVICE}.{BOOT}.1") == [found]
    assert await store.by_correlation(f"{SITE}.{DEVICE}.{BOOT}.2") == []
    assert await store.find(SITE, DEVICE, OTHER_BOOT, 1) is None


async def test_all_readings_of_a_request_are_found_by_its_id(store: ReadingStore) -> None:
    await store.store([block([0]), block([1, 2], request_id="req-1")], [])
    assert [row.seq for row in await store.by_correlation("req-1")] == [1, 2]
    assert await store.by_correlation("nothing") == []


@pytest.mark.parametrize("odd", ["a.b.c.99999999999999999999", "a.b.c.-1", "....", "a.b.c.٣"])
async def test_a_correlation_id_of_another_shape_finds_nothing(store: ReadingStore, odd: str) -> None:
    assert await store.by_correlation(odd) == []


async def test_counts_are_of_everybody_a_site_or_a_device(store: ReadingStore) -> None:
    await store.store([block(range(3)), block(range(4), device="pump-08"), block(range(5), site="plant-2")], [])
    assert (await store.count(), await store.count(SITE), await store.count(SITE, DEVICE)) == (12, 7, 3)


async def test_each_device_was_last_seen_with_its_newest_reading(store: ReadingStore) -> None:
    await store.store([block([5, 9, 7]), block([0], device="pump-08")], [])
    assert await store.last_seen() == {
        (SITE, DEVICE): LastSeen(measured_at_ms=START_MS + 9000, received_at_ms=START_MS),
        (SITE, "pump-08"): LastSeen(measured_at_ms=START_MS, received_at_ms=START_MS),
    }


async def test_a_device_is_ready_to_learn_with_enough_rows_and_no_model(
    store: ReadingStore, database: Database
) -> None:
    devices = DeviceStore(database)
    for name, learn_rows in (("few", None), ("enough", None), ("own", 5), ("gone", 1), ("fitted", 1)):
        await devices.ensure(SITE, name, "provisioned", now_ms=START_MS, learn_rows=learn_rows)
    await devices.ensure(SITE, "seeded", SEED_ORIGIN, now_ms=START_MS, learn_rows=1)
    await devices.revoke(SITE, "gone", now_ms=START_MS)
    await PromotionStore(database).promote(promotion(device="fitted"))
    rows = {"few": 9, "enough": 10, "own": 5, "gone": 10, "fitted": 10, "seeded": 10}
    await store.store([block(range(n), device=name) for name, n in rows.items()], [])
    assert await store.devices_ready_to_learn(10) == [
        Learner(site=SITE, device="enough", learn_rows=10, stored=10),
        Learner(site=SITE, device="own", learn_rows=5, stored=5),
    ]


def promotion(*, device: str = DEVICE, version: str = "1", promoted_at_ms: int = START_MS) -> Promotion:
    return Promotion(
        site=SITE,
        device=device,
        version=version,
        name=f"{SITE}.{device}",
        run_id="4e1c9ab07d3f4e1c9ab07d3f4e1c9ab0",
        sha256="0" * 64,
        data_hash="1" * 64,
        artifact_uri="file:///models/1.json",
        rows=400,
        trained_from_ms=START_MS,
        trained_through_ms=START_MS + 400_000,
        promoted_at_ms=promoted_at_ms,
    )


async def test_a_model_promoted_again_is_in_force_again(database: Database) -> None:
    store = PromotionStore(database)
    await store.promote(promotion(version="1", promoted_at_ms=1))
    await store.promote(promotion(version="2", promoted_at_ms=2))
    await store.promote(promotion(device="pump-08"))
    assert (await store.current(SITE, DEVICE)) == promotion(version="2", promoted_at_ms=2)
    await store.promote(promotion(version="1", promoted_at_ms=3))
    assert [each.version for each in await store.history(SITE, DEVICE)] == ["1", "2"]
    assert await store.all_current() == [promotion(promoted_at_ms=3), promotion(device="pump-08")]
    assert await store.current(SITE, "nobody") is None
    assert promotion().event.model.version == "1"
