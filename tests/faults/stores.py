"""A database that is there and will not, disks that are full, and a schema change that dies half-way."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from functools import partial

import asyncpg

from cloud.storage.database import Database
from tests.faults.account import in_transactions
from tests.faults.disk import filled
from tests.faults.fault import Fault, Hit
from tests.faults.plant import Plant
from tests.faults.processes import ROOT

_LASTS_S = (0.5, 2.5)
_SLOTS = 60
# A migration from nothing has so many.
_STATEMENTS = (1, 85)


async def while_told(plant: Plant, do: Sequence[str], undo: Sequence[str]) -> Hit:
    """Statements by an administrator, and after a while those that take them back."""
    connection = await plant.sql("postgres")
    hit = Hit(plant.under_way, "by an administrator")
    for statement in do:
        await connection.execute(statement)
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    for statement in undo:
        await connection.execute(statement)
    await connection.close()
    return hit


async def locked(plant: Plant, table: str) -> Hit:
    """Somebody holds a table for themselves: a slow database, to whoever waits."""
    connection = await plant.sql()
    hit = Hit(plant.under_way, f"{await in_transactions(connection)} open transactions")
    async with connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    await connection.close()
    return hit


async def ended_by_administrator(plant: Plant) -> Hit:
    """Every connection is ended, as before a fail-over."""
    connection = await plant.sql()
    busy = await in_transactions(connection)
    ended = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
    )
    await connection.close()
    return Hit(plant.under_way, f"{ended} connections, {busy} of them in a transaction")


async def no_slot_left(plant: Plant) -> Hit:
    """Somebody else takes every connection that there is, and everybody of ours must connect anew."""
    under_way = plant.under_way
    taken: list[asyncpg.Connection] = []
    first = await plant.sql()
    await first.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
    )
    with contextlib.suppress(asyncpg.TooManyConnectionsError):
        while len(taken) < _SLOTS:
            taken += await asyncio.gather(*(plant.sql() for _ in range(4)))
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    for each in [first, *taken]:
        each.terminate()
    return Hit(under_way, f"{len(taken)} connections taken")


async def full(plant: Plant, disk: str) -> Hit:
    """Not one byte more fits on the disk of the database, or of the broker."""
    under_way = plant.under_way
    with filled(plant.folder / disk) as megabytes:
        await asyncio.sleep(plant.rng.uniform(1.0, 4.0))
    return Hit(under_way, f"{megabytes} MB filled")


async def migration_interrupted(plant: Plant) -> Hit:
    """A migration dies with kill -9 at a statement; begun again it ends where an undisturbed one does."""
    name = f"scratch_{plant.rng.getrandbits(32):08x}"
    admin = await plant.sql()
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    url = f"{plant.postgres.url.rpartition('/')[0]}/{name}"
    at = plant.rng.randint(*_STATEMENTS)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.migrating", url, str(at), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    again = Database(url)
    await again.open()
    await again.migrate()
    await again.close()
    found, wanted = await _schema(url), await _schema(plant.postgres.url)
    assert found == wanted, f"killed at statement {at}: {found ^ wanted}"
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
    return Hit(plant.under_way, f"statement {at}: {said.decode().strip() or 'it was done already'}")


async def _schema(url: str) -> set[str]:
    """Columns, indexes and functions, in words; tables made for a month's readings are left out."""
    connection = await asyncpg.connect(url, ssl=False)
    try:
        rows = await connection.fetch(
            """
            SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
            FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '^readings_.*[0-9]'
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '^readings_.*[0-9]'
            UNION ALL SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'
            UNION ALL SELECT 'version ' || version_num FROM alembic_version
            """
        )
    finally:
        await connection.close()
    return {row[0] for row in rows}


_ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ronda' AND usename = current_user"
# Who is connected keeps writing unless its connection ends, as in a fail-over to a stand-by.
_READ_ONLY = ("ALTER DATABASE ronda SET default_transaction_read_only = on", _ENDED)
_WRITABLE = ("ALTER DATABASE ronda RESET default_transaction_read_only", _ENDED)
_CLOSED = ("ALTER DATABASE ronda ALLOW_CONNECTIONS false", _ENDED)
_OPEN = ("ALTER DATABASE ronda ALLOW_CONNECTIONS true",)

STORES = (
    Fault("database read-only", partial(while_told, do=_READ_ONLY, undo=_WRITABLE), alarms=True),
    Fault("database closed for maintenance", partial(while_told, do=_CLOSED, undo=_OPEN), alarms=True),
    *(Fault(f"table {table} locked", partial(locked, table=table)) for table in ("readings", "boots", "outbox")),
    Fault("all connections ended", ended_by_administrator, alarms=True),
    Fault("no connection left", no_slot_left, alarms=True),
    Fault("database's disk full", partial(full, disk="postgres"), needs="disk", alarms=True),
    Fault("broker's disk full", partial(full, disk="data"), needs="disk", brokers=("embedded",), alarms=True),
    Fault("migration interrupted", migration_interrupted),
)
