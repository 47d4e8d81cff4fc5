"""`ronda restore`: a backup put into an empty place, verified before anything is touched.

The database's rows come in one transaction. In a data folder all is made beside what will be and moved there at the
end, so a restore that fails leaves the folder as empty as it was.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from broker.credentials import Credentials
from cloud.storage.database import Database
from cloud.storage.migrate import newest_version, upgrade
from cloud.storage.postgres import EmbeddedPostgres
from contract.errors import RondaError
from ronda.backups import manifest as book
from ronda.backups.archive import unpack
from ronda.backups.errors import BackupError
from ronda.backups.files import Say, Unpacker
from ronda.backups.making import ARTIFACTS, DATABASE, MACHINES, PRIVATE
from ronda.backups.manifest import Manifest
from ronda.backups.places import Folder, Place, place_at
from ronda.backups.registry import SQLITE, check_registry_is_new, load_registry
from ronda.backups.tables import first_filled, load
from ronda.backups.whereabouts import USERS, Whereabouts, whereabouts_of_new
from ronda.guards import alone
from ronda.installation import Installation, folder_of
from ronda.parts import tell_libraries
from ronda.settings import load_settings

# Where a data folder is made before it is one.
_DRAFT = ".restoring"
_LOCK = ".lock"


async def run_restore(source: str, data: Path | None, say: Say) -> None:
    """Restore the backup at `source`. Raises: RondaError in one line, which says what is left over, if anything is."""
    settings = load_settings("restore")
    tell_libraries(settings)
    where = whereabouts_of_new(settings, folder_of(settings, data))
    place = place_at(source, where.endpoint_url)
    backup = book.read(place)
    if backup.schema > newest_version():
        raise BackupError(f"{place.uri} was made by Ronda {backup.ronda}, which is newer: restore it with that")
    unpacker = Unpacker(place, backup.files)
    say(f"restore {place.uri}, made by Ronda {backup.ronda}")
    unpacker.verify(say)
    await _check_is_new(where, backup)
    async with _draft(where) as (draft, url):
        await _restore(Restore(where, draft, url, backup, unpacker), say)
    say(f"restored: {sum(table.rows for table in backup.tables.values()):,} rows, {backup.artifacts} model files")


class Restore(NamedTuple):
    """One backup on its way into one place. `draft`: where the data folder is made; None when there is none."""

    where: Whereabouts
    draft: Path | None
    database_url: str
    backup: Manifest
    unpacker: Unpacker

    def here(self, path: Path) -> Path:
        """A path of the data folder, as long as that is being made."""
        installation = self.where.installation
        if installation is None or self.draft is None or not path.is_relative_to(installation.root):
            return path
        return self.draft / path.relative_to(installation.root)

    @property
    def moved(self) -> tuple[str, str]:
        """The artifacts' address then and now."""
        return self.backup.artifact_root, self.where.artifacts


async def _restore(work: Restore, say: Say) -> None:
    where, backup = work.where, work.backup
    unpack(work.unpacker, ARTIFACTS, _artifacts(work))
    say(f"  models      {backup.artifacts} files in {where.artifacts}")
    file = work.here(Path(where.registry.removeprefix(SQLITE))) if backup.registry.kind == "sqlite" else None
    await load_registry(where.registry, backup.registry, work.unpacker, work.moved, file)
    say(f"  registry    {sum(table.rows for table in backup.registry.tables.values()):,} rows")
    await _fill_database(work)
    say(f"  database    {sum(table.rows for table in backup.tables.values()):,} rows")
    _place_private(work, say)


def _artifacts(work: Restore) -> Place:
    place = place_at(work.where.artifacts, work.where.endpoint_url)
    return Folder(work.here(Path(place.uri))) if isinstance(place, Folder) else place


# Every later migration has run by then, so that they are there whatever the backup's version was.
_SAY_WHERE_MODELS_ARE = ("promotions", "model_versions", "classifiers")


async def _fill_database(work: Restore) -> None:
    """The tables as they were when the backup was made, its rows, and then every later migration."""
    database = Database(work.database_url, connections=1, statement_within_s=0)
    try:
        await database.open()
        async with database.begin() as connection:
            await connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            await connection.run_sync(upgrade, work.backup.schema)
            # The driver's own connection, within the same transaction.
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await _make_room(raw, work.backup.reading_days)
            await load(raw, work.backup.tables, work.unpacker, DATABASE)
            old, new = work.moved
            await connection.run_sync(upgrade)
            for table in _SAY_WHERE_MODELS_ARE:
                await raw.execute(
                    f"UPDATE {table} SET artifact_uri = $2::text || substr(artifact_uri, length($1::text) + 1) "  # noqa: S608  # our own names
                    "WHERE substr(artifact_uri, 1, length($1::text) + 1) = $1::text || '/'",
                    old,
                    new,
                )
    finally:
        await database.close()


async def _make_room(connection: asyncpg.Connection[Any], days: list[int]) -> None:
    """Partitions for the days to come, where readings are kept in partitions that somebody has to make."""
    if await connection.fetchval("SELECT to_regprocedure('readings_make_room(bigint[])') IS NOT NULL"):
        await connection.execute("SELECT readings_make_room($1::bigint[])", days)


def _place_private(work: Restore, say: Say) -> None:
    """Passwords and keys, where there is a place for them."""
    archives = [name for name in (MACHINES, PRIVATE) if name in work.backup.files]
    if work.draft is not None:
        for name in archives:
            unpack(work.unpacker, name, Folder(work.draft))
    elif PRIVATE in archives and work.where.passwd is not None:
        unpack(work.unpacker, PRIVATE, Folder(work.where.passwd.parent), renamed={USERS: work.where.passwd.name})
    elif archives:
        say("  note: passwords are not restored: name a folder with --data, or a file with MQTT_PASSWORD_FILE")
        return
    say("  private     passwords and keys, readable by their owner alone")


async def _check_is_new(where: Whereabouts, backup: Manifest) -> None:
    """Raises: BackupError when something is where the backup would go."""
    if where.installation is not None:
        _check_is_empty(where.installation.root)
    elif where.passwd is not None and PRIVATE in backup.files:
        _check_has_no_devices(where.passwd)
    await check_registry_is_new(where.registry, backup.registry)
    artifacts = place_at(where.artifacts, where.endpoint_url)
    if first := next(iter(artifacts.names()), None):
        raise BackupError(f"{artifacts.uri} is not empty ({first.name}): restore into an empty place")
    if not where.database_url:
        return
    database = Database(where.database_url, connections=1)
    try:
        await database.open()
        async with database.copying() as connection:
            if filled := await first_filled(connection, list(backup.tables)):
                raise BackupError(
                    f"the table {filled} of DATABASE_URL has rows already: restore into an empty database, "
                    "before anything else starts on it"
                )
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _draft(where: Whereabouts) -> AsyncIterator[tuple[Path | None, str]]:
    """(the data folder in the making, the address of its database); in place when the block ends well."""
    if where.installation is None:
        with _told_what_stays():
            yield None, where.database_url
        return
    root = where.installation.root
    draft = root / _DRAFT
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(root):
        shutil.rmtree(draft, ignore_errors=True)
        try:
            Installation(draft).create()
            async with _database(where, draft) as url:
                yield draft, url
            for path in sorted(draft.iterdir()):
                path.rename(root / path.name)
        except BaseException:
            # Left alone, it would look like a folder of somebody else's.
            (root / _LOCK).unlink(missing_ok=True)
            raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextlib.asynccontextmanager
async def _database(where: Whereabouts, draft: Path) -> AsyncIterator[str]:
    """The database of the settings, or the folder's own, running."""
    if where.database_url:
        yield where.database_url
        return
    postgres = EmbeddedPostgres(Installation(draft).postgres)
    try:
        yield await postgres.start()
    finally:
        await postgres.stop()


def _check_is_empty(root: Path) -> None:
    try:
        others = {path.name for path in root.iterdir()} - {_DRAFT, _LOCK} if root.exists() else set()
    except OSError as error:
        raise BackupError(f"{root} cannot be read: {error.strerror}") from error
    if others:
        raise BackupError(f"{root} is not empty ({min(others)}): restore into an empty folder, named with --data")


def _check_has_no_devices(passwd: Path) -> None:
    """The services' passwords are made anew with each installation; a device's stands in the device alone."""
    if devices := [user for user in Credentials(passwd).users() if "/" in user]:
        raise BackupError(
            f"{passwd} has the passwords of devices already ({devices[0]}), which would be lost: leave "
            "MQTT_PASSWORD_FILE empty to keep the file as it is, or move it away to have the backup's"
        )


@contextlib.contextmanager
def _told_what_stays() -> Iterator[None]:
    """Only a folder can be thrown away as a whole."""
    try:
        yield
    except RondaError as error:
        raise type(error)(f"{error}; empty the database, MLflow's and its artifacts before the next try") from error
