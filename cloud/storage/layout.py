"""What the database says of its tables: their version, how readings are kept, and which index is missing."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.storage.errors import DatabaseError
from cloud.storage.tables import Base

Layout = Literal["hypertable", "partitions"]

_KIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass('readings')")
_HYPERTABLE = text("""
SELECT EXISTS (
    SELECT FROM timescaledb_information.hypertables
    WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = 'readings'::regclass
)
""")
_INDEXES = text("SELECT indexname FROM pg_indexes WHERE schemaname = ANY (current_schemas(false))")


async def readings_layout(connection: AsyncConnection) -> Layout:
    """A hypertable where TimescaleDB was offered, monthly partitions elsewhere. Raises: DatabaseError for neither."""
    kind = await connection.scalar(_KIND)
    if kind == "p":
        return "partitions"
    offered = await connection.scalar(text("SELECT to_regclass('timescaledb_information.hypertables') IS NOT NULL"))
    if kind and offered and await connection.scalar(_HYPERTABLE):
        return "hypertable"
    raise DatabaseError("the readings of this database are not split by time: it was never migrated to this version")


async def schema_version(connection: AsyncConnection) -> str | None:
    """The last migration that this database has seen; None: none."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL")):
        return None
    version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if version is None else str(version)


async def missing_indexes(connection: AsyncConnection) -> list[str]:
    """The indexes, primary keys included, that our tables need and this database does not have."""
    there = set((await connection.execute(_INDEXES)).scalars())
    return sorted(index_names() - there)


def index_names() -> frozenset[str]:
    """The names of all indexes of our tables, primary keys included."""
    tables = Base.metadata.tables.values()
    keys = {str(table.primary_key.name) for table in tables}
    return frozenset(keys | {str(index.name) for table in tables for index in table.indexes})
