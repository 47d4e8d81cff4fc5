"""`ronda backup`: the database, the models and the passwords of what runs now, as one moment of them.

The order makes it one. What the emulated machines remember comes first, then the database in one transaction, then the
passwords, then MLflow's database, then its artifacts. So
- every promotion in the backup has its version and its bytes: a trainer writes bytes, version and promotion in this
  order, and nothing takes them away;
- no device that was cut off comes back: its password is taken away before the database says so;
- no emulated machine believes stored what is not: it remembers only what the store had acknowledged.
A model that is promoted meanwhile is in the registry but not in the database; `ronda train` announces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from cloud.models.addresses import below
from cloud.storage.database import Database
from cloud.storage.migrate import newest_version
from cloud.storage.tables import Base
from ronda.backups import manifest as book
from ronda.backups.archive import pack
from ronda.backups.errors import BackupError
from ronda.backups.files import Packer, Say, size_of
from ronda.backups.manifest import Manifest, Table
from ronda.backups.places import Chosen, Place, place_at
from ronda.backups.registry import dump_registry
from ronda.backups.tables import SNAPSHOT, dump
from ronda.backups.whereabouts import Whereabouts, whereabouts_of_running
from ronda.installation import folder_of
from ronda.parts import clock_ms, tell_libraries
from ronda.settings import load_settings

DATABASE = "database"
ARTIFACTS = "artifacts.tar.gz"
# Two archives, since they are of two moments.
MACHINES, PRIVATE = "machines.tar.gz", "private.tar.gz"
_MACHINES = "emulator/"
_MODEL = "/model.json"
_DAY_MS = 24 * 60 * 60 * 1000
_DAYS = f"SELECT DISTINCT div(measured_at_ms, {_DAY_MS})::bigint AS day FROM readings ORDER BY 1"  # noqa: S608  # a constant
_PROMOTIONS = "SELECT site, device, version, artifact_uri, sha256 FROM promotions"


class _Snapshot(NamedTuple):
    """What was read of the database, in one transaction."""

    tables: dict[str, Table]
    days: list[int]
    promotions: Sequence[asyncpg.Record]


async def run_backup(data: Path | None, to: str, say: Say) -> None:
    """Make a backup below `to`. Raises: RondaError in one line; then nothing there counts as a backup."""
    settings = load_settings("backup")
    tell_libraries(settings)
    where = whereabouts_of_running(settings, folder_of(settings, data))
    made_at_ms = int(clock_ms())
    name = datetime.fromtimestamp(made_at_ms / 1000, UTC).strftime("ronda-%Y%m%dT%H%M%SZ")
    place = place_at(f"{to.rstrip('/')}/{name}", where.endpoint_url)
    if any(True for _ in place.names()):
        raise BackupError(f"{place.uri} is there already: try again in a second")
    say(f"backup to {place.uri}")
    made = await make(where, place, made_at_ms, say)
    for model in made.without_bytes:
        say(f"  warning: the bytes of {model} are not where MLflow says; they are in no backup")
    if where.installation is None and not made.private:
        say("  note: no passwords of the broker: MQTT_PASSWORD_FILE names no file here, and there is no --data")
    total = sum(file.bytes for file in made.files.values())
    say(f"complete: {size_of(total)}, as secret as the installation itself; back with: ronda restore {place.uri}")


async def make(where: Whereabouts, place: Place, made_at_ms: int, say: Say) -> Manifest:
    """Write a backup of what is at `where`; its manifest comes last."""
    packer = Packer(place, say)
    private = _pack_private(where, packer, MACHINES, machines=True)
    snapshot = await _dump_database(where.database_url, packer)
    private += _pack_private(where, packer, PRIVATE, machines=False)
    registry = await dump_registry(where.registry, packer)
    artifacts = pack(place_at(where.artifacts, where.endpoint_url), packer, ARTIFACTS, summed=_MODEL)
    made = Manifest(
        ronda=version("ronda"),
        made_at_ms=made_at_ms,
        schema=newest_version(),
        tables=snapshot.tables,
        reading_days=snapshot.days,
        registry=registry,
        artifact_root=where.artifacts,
        artifacts=artifacts.files,
        private=private,
        without_bytes=_without_bytes(snapshot.promotions, where.artifacts, artifacts.sums),
        files=packer.files,
    )
    book.write(place, made)
    return made


async def _dump_database(url: str, packer: Packer) -> _Snapshot:
    database = Database(url, connections=1, statement_within_s=0)
    try:
        await database.open()
        async with database.copying() as connection:
            await connection.execute(SNAPSHOT)
            await _check_schema(connection)
            days = [row["day"] for row in await connection.fetch(_DAYS)]
            promotions = await connection.fetch(_PROMOTIONS)
            return _Snapshot(await dump(connection, list(Base.metadata.tables), packer, DATABASE), days, promotions)
    finally:
        await database.close()


async def _check_schema(connection: asyncpg.Connection[Any]) -> None:
    """Raises: BackupError when the tables are those of another Ronda."""
    seen = None
    if await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        seen = await connection.fetchval("SELECT version_num FROM alembic_version")
    if seen != newest_version():
        raise BackupError(
            f"the database's tables are of version {seen or 'none'}, this program's of {newest_version()}: "
            "make the backup with the Ronda that runs there"
        )


def _pack_private(where: Whereabouts, packer: Packer, name: str, *, machines: bool) -> list[str]:
    """The files with passwords and keys, or what the emulated machines keep."""
    files = {file: path for file, path in where.private.items() if file.startswith(_MACHINES) == machines}
    if files:
        pack(Chosen(files), packer, name)
    return list(files)


def _without_bytes(promotions: Sequence[asyncpg.Record], root: str, sums: dict[str, str]) -> list[str]:
    """The promotions whose model is not among the copied files, or is another."""
    return [
        f"{row['site']}/{row['device']} version {row['version']}"
        for row in promotions
        if sums.get(below(row["artifact_uri"], root) or "") != row["sha256"]
    ]
