"""The quarantine: looked through page by page, settled once, bounded by archives, and the ledger agrees throughout."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.migrate import upgrade
from cloud.storage.quarantine import Place, Quarantine, Rejection, Wanted
from cloud.storage.quarantine_return import ArchiveError
from cloud.storage.readings import ReadingStore
from contract.identity import UNCOUNTED_BOOT
from tests.support.readings import BOOT, DEVICE, SITE, START_MS, block, rejected


@pytest.fixture
def store(database: Database) -> ReadingStore:
    return ReadingStore(database)


@pytest.fixture
def quarantine(database: Database) -> Quarantine:
    return Quarantine(database)


async def counts(store: ReadingStore) -> tuple[int, int, int | None, int]:
    """(stored, rejected, lost, unnumbered) of the one device."""
    [entry] = await store.ledger()
    assert entry.sent in (None, entry.stored + entry.rejected + (entry.pending or 0) + (entry.lost or 0))
    return entry.stored, entry.rejected, entry.lost, entry.unnumbered


def ids(entries: list[Rejection]) -> list[str]:
    return [entry.id for entry in entries]


async def test_pages_begin_with_the_newest_and_a_replay_with_the_oldest(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    # Three at each instant, so that a page ends within one.
    refusals = [rejected(seq, received_at_ms=START_MS + seq // 3) for seq in range(10)]
    await store.store([], refusals)
    everything = ids(await quarantine.page(Wanted(), limit=99))
    paged: list[str] = []
    behind: Place | None = None
    while found := await quarantine.page(Wanted(), limit=4, behind=behind):
        paged += ids(found)
        behind = found[-1].place
    assert paged == everything
    assert sorted(paged) == sorted(refusal.id for refusal in refusals)
    first = await quarantine.oldest(Wanted(), limit=4)
    rest = await quarantine.oldest(Wanted(), limit=99, after=first[-1].place)
    assert ids(first) + ids(rest) == everything[::-1]


async def test_entries_are_found_by_what_is_known_of_them(store: ReadingStore, quarantine: Quarantine) -> None:
    odd = rejected(None, device="fan-1", stage="acquisition", reason="malformed_json", payload=b"{")
    await store.store([], [rejected(0), rejected(1), odd])
    for wanted, found in [
        (Wanted(device="fan-1"), 1),
        (Wanted(site=SITE, device=DEVICE), 2),
        (Wanted(stage="acquisition"), 1),
        (Wanted(reason="out_of_range"), 2),
        (Wanted(ids=[odd.id]), 1),
        (Wanted(settled=True), 0),
        (Wanted(before_ms=START_MS), 0),
    ]:
        assert len(await quarantine.page(wanted, limit=9)) == found, wanted
    assert [(cause.device, cause.reason, cause.entries) for cause in await quarantine.causes(limit=9)] == [
        (DEVICE, "out_of_range", 2),
        ("fan-1", "malformed_json", 1),
    ]


async def test_a_list_shows_how_a_payload_begins_and_one_entry_has_it_whole(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    refusal = rejected(None, payload=b"\0" * 5_000_000)
    await store.store([], [refusal])
    [brief] = await quarantine.page(Wanted(), limit=9)
    whole = await quarantine.get(refusal.id)
    assert whole is not None
    assert (len(brief.payload), brief.size, len(whole.payload), whole.size) == (256, 5_000_000, 5_000_000, 5_000_000)
    assert await quarantine.get("nothing") is None


async def test_a_refused_reading_that_is_stored_later_moves_in_the_ledger_and_is_settled(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    refusal = rejected(1)
    await store.store([block([0, 2])], [refusal])
    assert await counts(store) == (2, 1, 0, 0)
    for _ in range(2):
        await store.store([block([1], received_at_ms=START_MS + 5)], [])
        assert await counts(store) == (3, 0, 0, 0)
        entry = await quarantine.get(refusal.id)
        assert entry is not None
        assert entry.settled_at_ms == START_MS + 5
    assert await quarantine.page(Wanted(), limit=9) == []


async def test_a_later_refusal_of_a_stored_reading_waits_although_the_reading_is_settled(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    await store.store([], [rejected(0)])
    await store.store([block([0])], [rejected(0, payload=b"in the same transaction")])
    await store.store([], [rejected(0, payload=b"later")])
    assert await counts(store) == (1, 0, 0, 0)
    waiting = await quarantine.page(Wanted(), limit=9)
    assert {entry.payload for entry in waiting} == {b"in the same transaction", b"later"}


async def test_what_a_device_without_a_counter_sent_moves_too_and_only_once(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    refusals = [rejected(None, payload=b"%d" % number) for number in range(3)]
    await store.store([block([77], boot=UNCOUNTED_BOOT)], refusals)
    assert await counts(store) == (1, 3, None, 3)
    entry = await quarantine.get(refusals[0].id)
    assert entry is not None
    await store.store([block([78], boot=UNCOUNTED_BOOT)], [])
    assert [await quarantine.settle(entry, at_ms=START_MS) for _ in range(3)] == [True, False, False]
    assert await counts(store) == (2, 2, None, 2)


async def test_settling_and_storing_at_once_wait_for_nobody(database: Database) -> None:
    store, quarantine = ReadingStore(database), Quarantine(database)
    numbered = [rejected(seq) for seq in range(50)]
    loose = [rejected(None, payload=b"%d" % number) for number in range(50)]
    await store.store([], [*numbered, *loose])
    entries = await quarantine.oldest(Wanted(), limit=200)
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(quarantine.settle(entry, at_ms=START_MS) for entry in entries),
            *(store.store([block([seq])], [rejected(None, payload=b"more %d" % seq)]) for seq in range(50)),
            quarantine.archive(Wanted(settled=None), now_ms=START_MS),
        )
    [entry] = await store.ledger()
    assert (entry.stored, entry.rejected, entry.lost) == (50, 0, 0)


async def test_the_count_is_the_same_after_its_bytes_were_archived(store: ReadingStore, quarantine: Quarantine) -> None:
    await store.store([block([0, 3])], [rejected(1), rejected(2)])
    await quarantine.archive(Wanted(), now_ms=START_MS)
    assert await quarantine.newest() == []
    assert await counts(store) == (2, 2, 0, 0)
    await store.store([], [rejected(1)])  # told again
    assert await counts(store) == (2, 2, 0, 0)
    await store.store([block([1, 2])], [])  # sent again, and sound by now
    assert await counts(store) == (4, 0, 0, 0)


def unpacked(content: bytes) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in gzip.decompress(content).splitlines()]


async def test_beyond_its_bounds_the_oldest_go_into_files_and_stay_counted(
    store: ReadingStore, database: Database, tmp_path: Path
) -> None:
    quarantine = Quarantine(database, tmp_path / "quarantine")
    refusals = [rejected(seq, received_at_ms=START_MS + seq, payload=b"\xff%d" % seq) for seq in range(1500)]
    await store.store([], refusals)
    assert await quarantine.keep_within(2000, 1 << 30, now_ms=START_MS) == 0
    assert await quarantine.keep_within(200, 1 << 30, now_ms=START_MS) == 1320
    totals = await quarantine.totals()
    assert (totals.entries, totals.archived) == (180, 1320)
    files = sorted((tmp_path / "quarantine").iterdir(), key=lambda path: int(path.name.split("-")[0]))
    assert len(files) == totals.archives
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    lines = list(itertools.chain(*(unpacked(path.read_bytes()) for path in files)))
    assert [line["seq"] for line in lines] == list(range(1320))
    assert lines[0]["payload"] == "/zA="
    assert {line["id"] for line in lines} == {refusal.id for refusal in refusals[:1320]}
    assert await counts(store) == (0, 1500, 0, 0)


async def test_the_bound_of_bytes_counts_too_and_one_huge_entry_goes_by_itself(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    await store.store([], [rejected(seq, received_at_ms=START_MS + seq, payload=b"x" * 9_000_000) for seq in range(4)])
    await quarantine.keep_within(1000, 20_000_000, now_ms=START_MS)
    totals = await quarantine.totals()
    assert totals.bytes <= 20_000_000
    assert totals.entries + totals.archived == 4
    await quarantine.keep_within(1000, 1_000_000, now_ms=START_MS)
    assert (await quarantine.totals()).entries == 0


async def test_without_a_folder_the_archive_is_kept_in_the_database(
    store: ReadingStore, quarantine: Quarantine, database: Database
) -> None:
    await store.store([], [rejected(0)])
    done = await quarantine.archive(Wanted(), now_ms=START_MS)
    async with database.begin() as connection:
        row = (await connection.execute(text("SELECT * FROM quarantine_archives"))).one()
    assert (row.name, row.rows, done.entries) == (done.name, 1, 1)
    assert [line["seq"] for line in unpacked(row.content)] == [0]


async def test_killed_between_the_file_and_the_commit_the_same_is_archived_again(
    store: ReadingStore, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine = Quarantine(database, tmp_path)
    await store.store([], [rejected(0), rejected(1)])
    with monkeypatch.context() as broken:
        broken.setattr("cloud.storage.quarantine_archive.delete", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await quarantine.archive(Wanted(), now_ms=START_MS)
    assert (await quarantine.totals()).entries == 2
    await quarantine.archive(Wanted(), now_ms=START_MS)
    [file] = tmp_path.iterdir()
    assert [line["seq"] for line in unpacked(file.read_bytes())] == [0, 1]
    assert (await quarantine.totals()).archived == 2


async def test_two_at_once_archive_each_entry_once(store: ReadingStore, database: Database, tmp_path: Path) -> None:
    await store.store([], [rejected(seq) for seq in range(500)])
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(Quarantine(database, tmp_path).keep_within(100, 1 << 30, now_ms=START_MS) for _ in range(4))
        )
    lines = list(itertools.chain(*(unpacked(path.read_bytes()) for path in tmp_path.iterdir())))
    totals = await Quarantine(database).totals()
    assert len({line["id"] for line in lines}) == len(lines) == totals.archived == 500 - totals.entries
    assert totals.entries <= 100


_FIFTH = f"""
INSERT INTO boots (site, device, boot, accounted, stored, rejected, lost, first_seen_ms)
VALUES ('{SITE}', '{DEVICE}', '{BOOT}', '{{[0,6)}}', 2, 2, 2, {START_MS});
INSERT INTO readings VALUES
    ('{SITE}', '{DEVICE}', '{BOOT}', 0, {START_MS}, {START_MS}, '{{1}}', false, NULL),
    ('{SITE}', '{DEVICE}', '{BOOT}', 1, {START_MS + 1000}, {START_MS}, '{{1}}', false, NULL);
INSERT INTO rejected (id, site, device, boot, seq, stage, reason, detail, topic, payload, received_at_ms)
SELECT 'id-' || n, '{SITE}', '{DEVICE}', boot, seq, 'validation', 'out_of_range', '', '', '', {START_MS}
FROM (VALUES (1, '{BOOT}', 1), (2, '{BOOT}', 2), (3, '{BOOT}', 2), (4, '{BOOT}', 3), (5, NULL, NULL), (6, '{BOOT}', -1))
    AS refusal (n, boot, seq);
"""


async def test_what_an_earlier_version_counted_as_refused_still_moves(empty_url: str) -> None:
    database = Database(empty_url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, "0005")
        await connection.execute(
            text("SELECT readings_make_room(ARRAY[:day]::bigint[])"), {"day": START_MS // 86_400_000}
        )
        for statement in filter(str.strip, _FIFTH.split(";")):
            await connection.execute(text(statement))
    await database.migrate()
    store = ReadingStore(database)
    assert await counts(store) == (2, 2, 2, 0)
    await store.store([block([2, 3])], [])
    assert await counts(store) == (4, 0, 2, 0)
    assert {entry.id for entry in await Quarantine(database).page(Wanted(), limit=9)} == {"id-1", "id-5", "id-6"}
    await database.close()


@pytest.mark.parametrize("in_a_folder", [True, False])
async def test_what_an_archive_took_comes_back_as_it_was_and_stands_there_no_more(
    store: ReadingStore, database: Database, tmp_path: Path, *, in_a_folder: bool
) -> None:
    quarantine = Quarantine(database, tmp_path if in_a_folder else None)
    await store.store([], [rejected(0), rejected(None, payload=b"\xff\x00")])
    before, account = await quarantine.newest(), await counts(store)
    done = await quarantine.archive(Wanted(), now_ms=START_MS)
    assert done.name is not None
    assert await quarantine.newest() == []
    assert await quarantine.unarchive(done.name) == [entry.id for entry in reversed(before)]
    assert await quarantine.newest() == before
    assert await counts(store) == account
    totals = await quarantine.totals()
    assert (totals.entries, totals.archived, totals.archives) == (2, 0, 0)
    assert list(tmp_path.iterdir()) == []
    assert await quarantine.unarchive(done.name) is None, "from one archive nothing comes twice"


async def test_what_came_again_meanwhile_is_not_doubled_by_its_archive(
    store: ReadingStore, quarantine: Quarantine
) -> None:
    await store.store([], [rejected(0), rejected(1)])
    done = await quarantine.archive(Wanted(), now_ms=START_MS)
    await store.store([], [rejected(0)])
    assert done.name is not None
    await quarantine.unarchive(done.name)
    assert len(await quarantine.newest()) == 2
    assert (await counts(store))[1] == 2


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
async def test_an_archive_that_cannot_be_read_stays_what_it_was(
    store: ReadingStore, database: Database, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    quarantine = Quarantine(database, tmp_path)
    await store.store([], [rejected(0)])
    done = await quarantine.archive(Wanted(), now_ms=START_MS)
    assert done.name is not None
    damage(tmp_path / done.name)
    with pytest.raises(ArchiveError, match=r"put (its file back|a sound copy)"):
        await quarantine.unarchive(done.name)
    assert (await quarantine.totals()).archived == 1
