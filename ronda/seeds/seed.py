"""`ronda seed`: machines with a week of readings and anomalies behind them; run again, it changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import text

from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import SEED_ORIGIN, DeviceStore
from cloud.storage.readings import ReadingStore
from edge.metrics import METRICS
from ronda.installation import Installation, InstallationError, folder_of
from ronda.parts import clock_ms
from ronda.seeds.past import MACHINES, READINGS, Machine, past_of
from ronda.settings import load_settings
from ronda.store import opened_store

_DAY_MS = 24 * 60 * 60 * 1000
_COUNTS = text("""
WITH seeded AS (SELECT site, device FROM devices WHERE origin = :origin)
SELECT (SELECT count(DISTINCT site) FROM seeded) AS sites,
       (SELECT count(*) FROM seeded) AS devices,
       (SELECT count(*) FROM readings JOIN seeded USING (site, device)) AS readings,
       (SELECT count(*) FROM anomalies JOIN seeded USING (site, device)) AS raised,
       (SELECT count(*) FROM anomalies JOIN seeded USING (site, device)
        WHERE severity <> event ->> 'severity') AS updated,
       (SELECT count(*) FROM anomalies JOIN seeded USING (site, device) WHERE phase = 'cleared') AS cleared
""")


class Counts(msgspec.Struct, frozen=True):
    """What the store holds of the seed. `updated`: anomalies that were raised as a warning and became critical."""

    sites: int
    devices: int
    readings: int
    raised: int
    updated: int
    cleared: int


async def run_seed(data: Path | None) -> None:
    """Seed the store of what runs in `data`, or that of the settings, and print what it then holds."""
    async with _store(data) as database:
        _print(await seed(database, int(clock_ms())))


async def seed(database: Database, now_ms: int, machines: Sequence[Machine] = MACHINES) -> Counts:
    """Make what is missing of the seed. Raises: InstallationError when a device of such a name is there already."""
    end_ms = await _register(database, now_ms, machines)
    store, anomalies = ReadingStore(database), AnomalyStore(database)
    for machine in await _without_past(store, machines):
        past = await asyncio.to_thread(past_of, machine, end_ms, now_ms)
        await anomalies.keep_past(past.anomalies)
        # Last of all: a machine that has its readings is done.
        await store.store(past.blocks, [])
    async with database.begin() as connection:
        row = (await connection.execute(_COUNTS, {"origin": SEED_ORIGIN})).one()
    return Counts(*row)


async def _register(database: Database, now_ms: int, machines: Sequence[Machine]) -> int:
    """All machines with their sensors. Returns the midnight (UTC) before they were first registered: the week's end."""
    devices = DeviceStore(database)
    there = {(each.site, each.device): each.origin for each in await devices.all()}
    for machine in machines:
        if there.get((machine.site, machine.device), SEED_ORIGIN) != SEED_ORIGIN:
            raise InstallationError(f"{machine.site}/{machine.device} is a device of yours: nothing was seeded")
    known = [
        await devices.ensure(machine.site, machine.device, SEED_ORIGIN, now_ms=now_ms, metrics=METRICS)
        for machine in machines
    ]
    return min(each.created_at_ms for each in known) // _DAY_MS * _DAY_MS


async def _without_past(store: ReadingStore, machines: Sequence[Machine]) -> list[Machine]:
    counts = {machine: await store.count(machine.site, machine.device) for machine in machines}
    return [machine for machine, count in counts.items() if count < READINGS]


@contextlib.asynccontextmanager
async def _store(data: Path | None) -> AsyncIterator[Database]:
    """Only the database is needed; nobody else has to be reachable."""
    settings = load_settings("seed")
    data = folder_of(settings, data)
    url = settings.database_url.get_secret_value() if data is None else Installation(data).runtime().database_url
    async with opened_store(url, settings) as database:
        yield database


def _print(counts: Counts) -> None:
    for name, count in msgspec.structs.asdict(counts).items():
        print(f"{_LABELS[name]:<24}{count:>8,}")


_LABELS = {
    "sites": "sites",
    "devices": "devices",
    "readings": "readings",
    "raised": "anomalies raised",
    "updated": "  became critical",
    "cleared": "  cleared",
}
