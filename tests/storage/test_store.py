"""Storing readings: each counted once, none written over, whatever comes twice, late or contradicting."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.quarantine import Quarantine
from cloud.storage.reading_blocks import Ledger
from cloud.storage.readings import ReadingStore
from contract.errors import Reason
from contract.events import ValidatedDataEvent, Watermark
from contract.identity import UNCOUNTED_BOOT, digest_seq
from contract.plausibility import Metric
from contract.telemetry import MAX_SEQ
from tests.support.readings import BOOT, DEVICE, METRICS, SITE, START_MS, block, rejected

HERE = (SITE, DEVICE)


@pytest.fixture
def store(database: Database) -> ReadingStore:
    return ReadingStore(database)


async def _ledger(store: ReadingStore) -> tuple[int | None, int, int, int | None, int | None]:
    [entry] = await store.ledger()
    return entry.sent, entry.stored, entry.rejected, entry.pending, entry.lost


async def test_readings_are_stored_with_their_watermark(store: ReadingStore) -> None:
    done = await store.store([block(range(60))], [])
    assert (done.stored, done.repeats, done.conflicts) == (60, 0, [])
    assert done.watermarks == {HERE: Watermark(boot=BOOT, through=59)}
    assert await store.count() == 60


async def test_a_repeat_changes_nothing(store: ReadingStore) -> None:
    await store.store([block(range(10))], [])
    again = await store.store([block(range(5, 12)), block([11])], [])
    assert (again.stored, again.repeats) == (2, 6)
    assert await store.count() == 12
    assert await _ledger(store) == (12, 12, 0, 0, 0)


async def test_the_watermark_stops_at_a_gap_and_passes_it_once_filled(store: ReadingStore) -> None:
    assert (await store.store([block([0, 1, 4])], [])).watermarks[HERE].through == 1
    assert await _ledger(store) == (5, 3, 0, 2, 0)
    assert (await store.store([block([2, 3])], [])).watermarks[HERE].through == 4


async def test_a_boot_whose_first_reading_is_missing_has_no_watermark_yet(store: ReadingStore) -> None:
    assert (await store.store([block([3])], [])).watermarks[HERE] == Watermark(boot=BOOT, through=-1)


async def test_the_watermark_passes_a_refused_reading(store: ReadingStore) -> None:
    done = await store.store([block([0, 1, 3])], [rejected(2)])
    assert done.watermarks[HERE].through == 3
    assert await _ledger(store) == (4, 3, 1, 0, 0)


async def test_what_the_sender_no_longer_holds_is_lost_and_passed(store: ReadingStore) -> None:
    done = await store.store([block([7, 8], oldest=7)], [rejected(3)])
    assert done.watermarks[HERE].through == 8
    assert await _ledger(store) == (9, 2, 1, 0, 6)


async def test_a_reading_thought_lost_that_arrives_late_is_stored(store: ReadingStore) -> None:
    await store.store([block([7], oldest=7)], [])
    assert (await store.store([block([5])], [])).stored == 1
    assert await _ledger(store) == (8, 2, 0, 0, 6)


async def test_a_refused_reading_that_is_accepted_later_counts_as_stored(store: ReadingStore) -> None:
    await store.store([], [rejected(0)])
    assert await _ledger(store) == (1, 0, 1, 0, 0)
    await store.store([block([0])], [])
    await store.store([], [rejected(0, payload=b"another refusal of it")])
    assert await _ledger(store) == (1, 1, 0, 0, 0)


async def test_gaps_are_remembered_up_to_a_bound(store: ReadingStore) -> None:
    for start in range(0, 4000, 1000):
        await store.store([block(range(start, start + 1000, 2))], [])
    await store.store([block([4000])], [])
    sent, stored, _, pending, lost = await _ledger(store)
    assert (sent, stored) == (4001, 2001)
    assert pending is not None
    assert lost is not None
    assert pending + lost == 2000
    assert pending <= 1000
    assert (await store.store([block([1])], [])).stored == 1


@pytest.mark.parametrize("number", [-1, 2**53, 2**64])
async def test_a_number_that_was_refused_itself_does_not_stop_the_watermark(store: ReadingStore, number: int) -> None:
    done = await store.store([block([0])], [rejected(number)])
    assert done.watermarks[HERE].through == 0
    [entry] = await store.ledger()
    assert (entry.sent, entry.rejected, entry.unnumbered) == (1, 0, 1)


async def test_a_device_that_claims_the_impossible_spoils_only_its_own_count(store: ReadingStore) -> None:
    await store.store([block([MAX_SEQ], boot=f"{boot:016x}", oldest=MAX_SEQ) for boot in range(1100)], [])
    [entry] = await store.ledger()
    assert entry.sent == 1100 * 2**53
    assert entry.lost == 1100 * (2**53 - 1)
    assert (await store.store([block([3], oldest=MAX_SEQ)], [])).watermarks[HERE].through == 3


async def test_nothing_at_all_is_stored_as_nothing(store: ReadingStore) -> None:
    done = await store.store([], [])
    assert (done.stored, done.repeats, done.watermarks, await store.ledger()) == (0, 0, {}, [])


async def test_other_values_under_the_same_identity_are_quarantined(store: ReadingStore, database: Database) -> None:
    await store.store([block([0, 1])], [])
    forged = block([0, 1], values=[[0.0, 99.0], [0.1, 1.1], [0.2, 1.2]])
    done = await store.store([forged], [])
    assert (done.stored, done.repeats) == (0, 1)
    [conflict] = done.conflicts
    assert (conflict.stage, conflict.reason, conflict.seq) == ("historian", Reason.IDENTITY_CONFLICT, 1)
    assert conflict.detail.endswith(".1 is already stored with vibration_de_rms_g 1.0, now 99.0")
    assert conflict.correlation_id == f"{SITE}.{DEVICE}.{BOOT}.1"
    [kept] = await Quarantine(database).by_correlation(conflict.correlation_id)
    assert (kept.id, kept.payload) == (conflict.id, conflict.payload)
    found = await store.find(SITE, DEVICE, BOOT, 1)
    assert found is not None
    assert found.values["vibration_de_rms_g"] == 1.0
    assert await _ledger(store) == (2, 2, 0, 0, 0)


async def test_a_contradiction_is_told_again_when_the_work_is_done_again(store: ReadingStore) -> None:
    forged = block([0], measured_at_ms=[START_MS + 1])
    first = await store.store([block([0]), forged], [])
    again = await store.store([block([0]), forged], [])
    assert first.conflicts == again.conflicts
    assert first.conflicts[0].detail.endswith(f"measured at {START_MS}, now {START_MS + 1}")
    assert await store.count() == 1


async def test_a_value_fewer_is_other_values(store: ReadingStore) -> None:
    await store.store([block([0])], [])
    shorter = block([0], metrics=[METRICS[0], METRICS[1]], values=[[0.0], [0.1]])
    [conflict] = (await store.store([shorter], [])).conflicts
    assert conflict.detail.endswith("temperature_c 0.2, now None")


async def test_values_follow_the_order_of_the_registered_metrics(store: ReadingStore, database: Database) -> None:
    registered = [Metric(name=name) for name in METRICS]
    await DeviceStore(database).register_metrics(SITE, DEVICE, registered, now_ms=START_MS)
    await store.store([block([0], metrics=["temperature_c", "vibration_de_rms_g"], values=[[61.2], [0.21]])], [])
    found = await store.readings(SITE, DEVICE, limit=10)
    assert found.metrics == list(METRICS)
    assert found.values == [[0.21], [None], [61.2]]


async def test_a_metric_that_nobody_registered_is_appended_not_lost(store: ReadingStore, database: Database) -> None:
    await store.store([block([0])], [])
    more = block([1], metrics=["flow_lpm", "current_a"], values=[[1180.0], [31.5]])
    await store.store([more], [])
    assert await DeviceStore(database).metrics(SITE, DEVICE) == [Metric(name=n) for n in (*METRICS, "flow_lpm")]
    found = await store.readings(SITE, DEVICE, limit=10)
    assert found.values == [[0.0, None], [0.1, 31.5], [0.2, None], [None, 1180.0]]
    repeated = await store.store([block([0]), more], [])
    assert repeated.repeats == 2


def _uncounted(*times: int) -> ValidatedDataEvent:
    seqs = [digest_seq(SITE, "meter-1", at, {"power_kw": float(at)}) for at in times]
    columns = [[float(at) for at in times]]
    return block(
        seqs, device="meter-1", boot=UNCOUNTED_BOOT, metrics=["power_kw"], values=columns, measured_at_ms=list(times)
    )


async def test_uncounted_readings_are_told_apart_by_content_and_have_no_watermark(
    store: ReadingStore, database: Database
) -> None:
    first = await store.store([_uncounted(START_MS, START_MS + 1)], [])
    again = await store.store([_uncounted(START_MS + 1, START_MS + 2, START_MS + 2)], [])
    assert (first.watermarks, first.stored) == ({}, 2)
    assert (again.stored, again.repeats) == (1, 2)
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT isempty(accounted) FROM boots"))


async def test_what_an_uncounted_device_lost_is_unknown_not_zero(store: ReadingStore) -> None:
    refused = rejected(None, device="meter-1")
    await store.store([_uncounted(START_MS)], [refused, refused])
    assert await store.ledger() == [
        Ledger(site=SITE, device="meter-1", sent=None, stored=1, rejected=1, pending=None, lost=None, unnumbered=1)
    ]


async def test_a_message_without_a_number_does_not_disturb_the_count(store: ReadingStore) -> None:
    await store.store([block([0])], [rejected(None)])
    assert await _ledger(store) == (1, 1, 0, 0, 0)
    [entry] = await store.ledger()
    assert entry.unnumbered == 1


async def test_after_a_restart_both_boots_get_their_watermark_the_latest_last(store: ReadingStore) -> None:
    old = block([0, 1])
    new = block([0], boot="0123456789abcdef", received_at_ms=START_MS + 60_000)
    done = await store.store([new, old], [])
    assert done.watermarks == {HERE: Watermark(boot="0123456789abcdef", through=0)}
    assert done.earlier == {HERE: [Watermark(boot=BOOT, through=1)]}
    assert await store.watermark(SITE, DEVICE) == done.watermarks[HERE]


async def test_refusals_may_hold_what_no_text_column_can(store: ReadingStore, database: Database) -> None:
    await store.store([], [rejected(0, detail="a \0 and a \ud800", payload=b"\0\xff")])
    [kept] = await Quarantine(database).newest()
    assert (kept.detail, kept.payload) == ("a \\x00 and a \\ud800", b"\0\xff")


async def test_two_historians_at_once_store_each_reading_once(database_url: str) -> None:
    one, other = Database(database_url), Database(database_url)
    await one.open()
    await other.open()
    devices = [f"pump-{number:02}" for number in range(8)]
    forth = [block(range(50), device=device) for device in devices]
    back = [block(range(25, 75), device=device) for device in reversed(devices)]
    async with asyncio.timeout(30):
        done = await asyncio.gather(
            *(ReadingStore(database).store(work, []) for work in (forth, back) for database in (one, other))
        )
    assert sum(each.stored for each in done) == 75 * 8 == await ReadingStore(one).count()
    assert {entry.pending for entry in await ReadingStore(one).ledger()} == {0}
    await one.close()
    await other.close()
