"""What the store knows of who was heard when."""

from __future__ import annotations

from cloud.agents.silence import Quiet, Silent, habit_of, raised
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.readings import ReadingStore
from cloud.storage.rollups import RollUps
from cloud.storage.silences import SilenceStore
from contract.events import Phase
from ronda.silence import StoredSilence
from tests.support.anomalies import anomaly
from tests.support.readings import BOOT, DEVICE, SITE, START_MS, block

_DAY_MS = 24 * 3_600_000


async def _speak(database: Database, device: str, seqs: range, *, from_ms: int = START_MS) -> None:
    """Every second; each reading arrives 40 ms after it was measured."""
    for seq in seqs:
        at_ms = from_ms + 1000 * seq
        message = block([seq], device=device, measured_at_ms=[at_ms], received_at_ms=at_ms + 40)
        await ReadingStore(database).store([message], [])


async def test_who_is_waited_for_and_when_each_was_heard(database: Database) -> None:
    devices = DeviceStore(database)
    for device, origin in (("demo-1", "demo"), ("old", "replay"), ("gone", "provisioned"), (DEVICE, "provisioned")):
        await devices.ensure(SITE, device, origin, now_ms=0)
        await _speak(database, device, range(3))
    await devices.revoke(SITE, "gone", now_ms=START_MS)
    [(key, last)] = (await SilenceStore(database).heard()).items()
    assert key == (SITE, DEVICE)
    assert (last.received_at_ms, last.boot, last.seq) == (START_MS + 2040, BOOT, 2)


async def test_the_last_that_arrived_is_not_always_the_newest_by_its_own_clock(database: Database) -> None:
    await _speak(database, DEVICE, range(30))
    back = block([30], measured_at_ms=[START_MS + 5], received_at_ms=START_MS + 90_000)
    await ReadingStore(database).store([back], [])
    last = await SilenceStore(database).heard_lately(SITE, DEVICE)
    assert last is not None
    assert (last.seq, last.received_at_ms) == (30, START_MS + 90_000)
    assert await SilenceStore(database).heard_lately(SITE, "nobody") is None


async def test_nightly_pauses_are_known_from_the_minutes(database: Database) -> None:
    for day in range(4):
        start = START_MS + day * _DAY_MS
        await ReadingStore(database).store(
            [block(range(100 * day, 100 * day + 100), measured_at_ms=[start + 1000 * n for n in range(100)])], []
        )
    await _speak(database, DEVICE, range(400, 450), from_ms=START_MS + 4 * _DAY_MS)
    await RollUps(database).bring_up_to_date()
    store = SilenceStore(database)
    pauses = await store.pauses(SITE, DEVICE, START_MS + 5 * _DAY_MS)
    assert len(pauses) == 4
    habit = habit_of(await store.arrivals(SITE, DEVICE), pauses)
    assert habit is not None
    assert habit.usual_ms == 1000
    assert _DAY_MS - 5 * 60_000 < habit.longest_ms < _DAY_MS


async def test_a_silence_is_kept_once_published_from_the_outbox_and_found_again_until_it_is_over(
    database: Database,
) -> None:
    await _speak(database, DEVICE, range(60))
    await AnomalyStore(database).apply([anomaly()], [], now_ms=START_MS)
    memory = StoredSilence(database)
    heard, habit = await memory.heard(), await memory.habit(SITE, DEVICE)
    assert habit is not None
    event = raised(Silent(SITE, DEVICE, heard[SITE, DEVICE], Quiet.OVERDUE), habit, START_MS + 200_000)
    assert await memory.keep([event]) == [event]
    assert await memory.keep([event]) == []
    assert await memory.told() == [event]
    store = SilenceStore(database)
    assert len(await store.outbox.unpublished()) == 2
    await memory.published([event])
    assert len(await store.outbox.unpublished()) == 1
    over = type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | {"phase": Phase.CLEARED})
    await memory.keep([over])
    assert await memory.told() == []
