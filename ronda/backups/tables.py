"""Tables as text, by COPY: it streams, keeps every value exactly, and goes back into any layout.

`COPY (SELECT …)` reads a hypertable and a partitioned table as one, and `COPY … FROM` fills either, so a backup of a
plain table restores into a hypertable and the other way round. A copy of the server's files, or pg_dump's, could not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import asyncpg

from ronda.backups.errors import BackupError
from ronda.backups.files import Packer, Unpacker
from ronda.backups.manifest import Table

# One picture of the whole database, however long it takes to draw; nobody waits for it.
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
# Ordinary tables and partitioned ones; a partition is read with its parent.
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition ORDER BY relname
"""
_REFERENCES = """
SELECT conrelid::regclass::text AS table, confrelid::regclass::text AS needed FROM pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid
"""
_COUNTERS = """
SELECT attname, pg_get_serial_sequence($1, attname) AS counter FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND pg_get_serial_sequence($1, attname) IS NOT NULL
"""


def file_of(folder: str, table: str) -> str:
    """A table's file in the backup."""
    return f"{folder}/{table}.copy.gz"


async def dump(
    connection: asyncpg.Connection[Any], names: Sequence[str], packer: Packer, folder: str
) -> dict[str, Table]:
    """Write these tables; the caller's transaction decides of which moment."""
    return {name: await _dump(connection, name, packer, folder) for name in names}


async def _dump(connection: asyncpg.Connection[Any], name: str, packer: Packer, folder: str) -> Table:
    columns = [row["attname"] for row in await connection.fetch(_COLUMNS, quoted(name))]
    query = f"SELECT {_list(columns)} FROM {quoted(name)}"  # noqa: S608  # names from the catalogue, quoted
    with packer.file(file_of(folder, name)) as packed:

        async def put(data: bytes) -> None:
            packed.write(data)

        status = await connection.copy_from_query(query, output=put)
    return Table(columns, _count(status))


async def load(
    connection: asyncpg.Connection[Any], tables: Mapping[str, Table], unpacker: Unpacker, folder: str
) -> None:
    """Fill these tables, in this order, and set the counters of their serial columns behind what came in.

    Raises: BackupError when other rows came in than the manifest counts.
    """
    for name, table in tables.items():
        if set(table.columns) - {row["attname"] for row in await connection.fetch(_COLUMNS, quoted(name))}:
            raise BackupError(f"the table {name} has other columns here than in the backup")
        source = _pieces(unpacker, file_of(folder, name))
        status = await connection.copy_to_table(name, source=source, columns=table.columns)
        if _count(status) != table.rows:
            raise BackupError(f"{file_of(folder, name)} holds {_count(status)} rows, the manifest says {table.rows}")
        await _set_counters(connection, name)


async def first_filled(connection: asyncpg.Connection[Any], names: Sequence[str]) -> str | None:
    """The first of these tables that has rows."""
    for name in names:
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", quoted(name)) and await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {quoted(name)})"  # noqa: S608  # as above
        ):
            return name
    return None


async def all_tables(connection: asyncpg.Connection[Any]) -> list[str]:
    """Every table of the schema, each after those that it refers to."""
    names = [row["relname"] for row in await connection.fetch(_TABLES)]
    needs: dict[str, set[str]] = {name: set() for name in names}
    for row in await connection.fetch(_REFERENCES):
        needs.setdefault(row["table"].strip('"'), set()).add(row["needed"].strip('"'))
    return [name for name in TopologicalSorter(needs).static_order() if name in names]


def quoted(name: str) -> str:
    """A name as SQL has it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


async def _pieces(unpacker: Unpacker, name: str) -> AsyncIterator[bytes]:
    for chunk in unpacker.chunks(name):
        yield chunk


async def _set_counters(connection: asyncpg.Connection[Any], name: str) -> None:
    for row in await connection.fetch(_COUNTERS, quoted(name)):
        newest = f"SELECT max({quoted(row['attname'])}) FROM {quoted(name)}"  # noqa: S608  # as above
        await connection.execute(
            f"SELECT setval('{row['counter']}', newest) FROM ({newest}) AS rows (newest) WHERE newest IS NOT NULL"  # noqa: S608  # as above
        )


def _list(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))


def _count(status: str) -> int:
    """`COPY 17` → 17."""
    return int(status.rpartition(" ")[2])
