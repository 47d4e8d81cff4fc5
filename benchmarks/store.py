"""The store: how fast readings go in through the historian's transaction, and what each question of the API opens.

A reading has eight values. Twenty machines; the readings are spread over two years, so that there are as many
partitions as after two years of running. CPU is that of this process and, where the server is ours, of the server's
process that serves it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil
from sqlalchemy import text

from benchmarks.machine import described
from cloud.api.lookups import StoreLookups
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.layout import readings_layout
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.reading_blocks import Position
from cloud.storage.readings import ReadingStore
from contract.events import ValidatedDataEvent
from edge.metrics import NAMES
from tests.support.plans import parts, plan_of

SITE, MACHINES = "bench", [f"pump-{number:02}" for number in range(20)]
_NEWEST_MS = 1_763_800_000_000
_TWO_YEARS_MS = 2 * 365 * 24 * 60 * 60 * 1000
_HOUR_MS = 60 * 60 * 1000
# What one transaction of a busy Historian holds, and one that catches up.
_PER_TRANSACTION = (1000, 10_000)


class Spread(msgspec.Struct, frozen=True):
    """`readings` of all machines together, evenly over `span_ms` up to now."""

    readings: int
    span_ms: int

    def batches(self, size: int, boot: str) -> Iterator[list[ValidatedDataEvent]]:
        """In transactions of `size` readings."""
        each = size // len(MACHINES)
        for first in range(0, self.readings // len(MACHINES), each):
            yield [self._block(machine, range(first, first + each), boot) for machine in MACHINES]

    def at_ms(self, seq: int) -> int:
        """When a machine measured its `seq`-th."""
        return _NEWEST_MS - self.span_ms + self.span_ms * seq * len(MACHINES) // self.readings

    def _block(self, machine: str, seqs: Sequence[int], boot: str) -> ValidatedDataEvent:
        times = [self.at_ms(seq) for seq in seqs]
        values = [[seq + column / 10 for seq in seqs] for column in range(len(NAMES))]
        return ValidatedDataEvent(
            site=SITE, device=machine, boot=boot, received_at_ms=times[-1], metrics=list(NAMES),
            seq=list(seqs), measured_at_ms=times, values=values,
        )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measure on a server of our own, or on the one at `--url`, whose database must be empty."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks store", description=__doc__)
    parser.add_argument("--url", help="an empty database; by default a PostgreSQL of our own")
    parser.add_argument("--readings", type=int, default=100_000, help="per measurement of the speed")
    parser.add_argument("--rounds", type=int, default=3, help="the median is printed")
    parser.add_argument("--stored", type=int, default=1_000_000, help="how many are there when the questions are asked")
    options = parser.parse_args(arguments)
    print(described())
    asyncio.run(_measure(options.url, options.readings, options.rounds, options.stored))


async def _measure(url: str | None, readings: int, rounds: int, stored: int) -> None:
    async with _database(url) as database:
        async with database.begin() as connection:
            print(f"readings are kept as: {await readings_layout(connection)}\n")
        print(f"{'a transaction':>14}{'readings/s':>12}{'CPU µs/reading: server':>24}{'client':>8}")
        for size in _PER_TRANSACTION:
            await _print_speed(database, Spread(readings, readings * 50), size, rounds, is_ours=url is None)
        await _print_plans(database, Spread(stored, _TWO_YEARS_MS))


async def _print_speed(database: Database, spread: Spread, size: int, rounds: int, *, is_ours: bool) -> None:
    store = ReadingStore(database)
    server = await _server_of(database) if is_ours else None
    found = []
    for number in range(rounds):
        batches = list(spread.batches(size, f"{size:08x}{number:08x}"))
        before, began = (_cpu(server), _cpu(psutil.Process())), time.perf_counter()
        for batch in batches:
            await store.store(batch, [])
        took = time.perf_counter() - began
        spent = (_cpu(server) - before[0], _cpu(psutil.Process()) - before[1])
        found.append((spread.readings / took, *(cpu / spread.readings * 1e6 for cpu in spent)))
    rate, server_us, client_us = map(statistics.median, zip(*found, strict=True))
    served = f"{server_us:.1f}" if is_ours else "unknown"
    print(f"{size:>14,}{rate:>12,.0f}{served:>24}{client_us:>8.1f}", flush=True)


async def _server_of(database: Database) -> psutil.Process:
    """The process that serves our one connection."""
    async with database.begin() as connection:
        return psutil.Process(int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0))


async def _print_plans(database: Database, spread: Spread) -> None:
    devices, store = DeviceStore(database), ReadingStore(database)
    for machine in MACHINES:
        await devices.ensure(SITE, machine, "provisioned", now_ms=_NEWEST_MS)
    for batch in spread.batches(10_000, _BOOT):
        await store.store(batch, [])
    async with database.begin() as connection:
        await connection.execute(text("ANALYZE"))
    print(f"\n{await store.count():,} readings in {await parts(database)} parts")
    print(f"{'question':<44}{'opens':>6}{'ms':>9}  by")
    for name, ask in _questions(database, spread).items():
        plan = await plan_of(database, ask)
        print(f"{name:<44}{len(plan.opened):>6}{plan.took_ms:>9.1f}  {', '.join(sorted(plan.scans))}", flush=True)


_BOOT = "00000000000000ff"


def _questions(database: Database, spread: Spread) -> dict[str, Callable[[], Awaitable[object]]]:
    store, lookups, machine = ReadingStore(database), StoreLookups(database), MACHINES[7]
    middle = spread.readings // len(MACHINES) // 2
    then = spread.at_ms(middle)
    keys = [(_BOOT, middle + n) for n in range(60)]
    return {
        "a machine's last ten minutes, a tile": lambda: store.readings(
            SITE, machine, from_ms=_NEWEST_MS - 600_000, to_ms=_NEWEST_MS, limit=100_000
        ),
        "a machine's day a year ago, a chart": lambda: store.readings(
            SITE, machine, from_ms=then, to_ms=then + 24 * _HOUR_MS, limit=100_000
        ),
        "a machine's newest 100": lambda: store.readings(SITE, machine, limit=100),
        "2,000 to go on from a year ago, the detector": lambda: store.rows_after(
            SITE, machine, Position(then), limit=2000
        ),
        "the first 1,800, the trainer": lambda: store.training_rows(SITE, machine, limit=1800),
        "when each machine was last seen, the fleet": store.last_seen,
        "one reading by its identity, a trace": lambda: store.find(SITE, machine, _BOOT, middle),
        "the readings of a request, a trace": lambda: store.by_correlation("no-such-request"),
        "60 readings that a client waits for": lambda: lookups.stored(SITE, machine, keys),
        "how many a machine has": lambda: store.count(SITE, machine),
    }


@asynccontextmanager
async def _database(url: str | None) -> AsyncIterator[Database]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        database = Database(url or await server.start(), connections=1)
        try:
            await database.open()
            await database.migrate()
            yield database
        finally:
            await database.close()
            await server.stop()


def _cpu(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)
