"""MLflow's database, as one moment of it: a file by SQLite's own way, PostgreSQL's tables by COPY."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg

from cloud.storage.database import Database
from contract.errors import RondaError
from ronda.backups.errors import BackupError
from ronda.backups.files import Packer, Unpacker
from ronda.backups.manifest import Registry, Table
from ronda.backups.tables import SNAPSHOT, all_tables, dump, first_filled, load, quoted

SQLITE = "sqlite:///"
_FILE = "registry/mlflow.db.gz"
_FOLDER = "registry"
_VERSIONS = "alembic_version"
_CHUNK_BYTES = 2**20
# Where a registry writes addresses of artifacts.
_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# What MLflow puts into a new database itself; all else, and a second experiment, is somebody's work.
_MADE_BY_MLFLOW = frozenset({_VERSIONS, "experiments", "workspaces"})


async def dump_registry(uri: str, packer: Packer) -> Registry:
    """Write the whole database into the backup."""
    if uri.startswith(SQLITE):
        return _dump_file(_path(uri), packer)
    async with _opened(uri) as connection:
        await connection.execute(SNAPSHOT)
        names = await all_tables(connection)
        if _VERSIONS not in names:
            raise BackupError("MLFLOW_BACKEND_STORE_URI: MLflow has made no tables there yet")
        version = await connection.fetchval(f"SELECT version_num FROM {_VERSIONS}")  # noqa: S608  # a constant
        tables = await dump(connection, [name for name in names if name != _VERSIONS], packer, _FOLDER)
        return Registry(kind="postgresql", version=version, tables=tables)


async def check_registry_is_new(uri: str, registry: Registry) -> None:
    """Raises: BackupError when the target is of another kind, or holds somebody's work."""
    kind = "sqlite" if uri.startswith(SQLITE) else "postgresql"
    if kind != registry.kind:
        wanted = "no MLFLOW_BACKEND_STORE_URI" if registry.kind == "sqlite" else "MLFLOW_BACKEND_STORE_URI"
        raise BackupError(f"the backup's models are registered in {registry.kind}: restore it with {wanted} set")
    if kind == "sqlite":
        if _path(uri).exists():
            raise BackupError(f"{_path(uri)} is there already: restore into an empty folder")
        return
    async with _opened(uri) as connection:
        names = await all_tables(connection)
        filled = await first_filled(connection, [name for name in names if name not in _MADE_BY_MLFLOW])
        if "experiments" in names and await connection.fetchval("SELECT count(*) FROM experiments") > 1:
            filled = "experiments"
        if filled:
            raise BackupError(f"MLflow's table {filled} has rows already: restore into an empty database")


async def load_registry(
    uri: str, registry: Registry, unpacker: Unpacker, moved: tuple[str, str], place: Path | None
) -> None:
    """Put the database back. `moved`: the artifact root then and now; `place`: the file, when not where `uri` says."""
    if registry.kind == "sqlite":
        _load_file(place or _path(uri), unpacker, moved)
        return
    _make_tables(uri)
    async with _opened(uri) as connection:
        version = await connection.fetchval(f"SELECT version_num FROM {_VERSIONS}")  # noqa: S608  # a constant
        if version != registry.version:
            raise BackupError(
                f"MLflow's tables are of version {version} here and {registry.version} in the backup: "
                "restore with the Ronda that made it"
            )
        # MLflow makes rows of its own in a new database, such as the default experiment.
        await connection.execute(f"TRUNCATE {', '.join(map(quoted, registry.tables))} CASCADE")
        await load(connection, _in_order(registry.tables, await all_tables(connection)), unpacker, _FOLDER)
        for table, column in _ADDRESSES:
            await connection.execute(_moved(table, column, "$"), *moved)


def _dump_file(path: Path, packer: Packer) -> Registry:
    if not path.exists():
        raise BackupError(f"{path} is not there: no model was ever registered in it")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        # Whoever writes meanwhile waits or is in the copy; a copied file could be torn.
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            version = target.execute(f"SELECT version_num FROM {_VERSIONS}").fetchone()[0]  # noqa: S608  # a constant
            tables = {name: _counted(target, name) for name in _tables_of(target)}
        with packer.file(_FILE) as packed, copy.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                packed.write(chunk)
    return Registry(kind="sqlite", version=version, tables=tables)


def _load_file(path: Path, unpacker: Unpacker, moved: tuple[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:
        path.chmod(0o600)
        for chunk in unpacker.chunks(_FILE):
            file.write(chunk)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for table, column in _ADDRESSES:
            database.execute(_moved(table, column, "?"), moved)


def _moved(table: str, column: str, mark: str) -> str:
    """A statement that puts the new root (2nd argument) in the place of the old one (1st) at the head of an address."""
    old, new = f"{mark}1", f"{mark}2"
    if mark == "$":
        old, new = f"{old}::text", f"{new}::text"
    return (
        f"UPDATE {table} SET {column} = {new} || substr({column}, length({old}) + 1) "  # noqa: S608  # constants
        f"WHERE {column} = {old} OR substr({column}, 1, length({old}) + 1) = {old} || '/'"
    )


def _tables_of(database: sqlite3.Connection) -> Iterator[str]:
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return (str(row[0]) for row in rows.fetchall())


def _counted(database: sqlite3.Connection, name: str) -> Table:
    columns = [str(row[1]) for row in database.execute(f"PRAGMA table_info({quoted(name)})")]
    count = database.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]  # noqa: S608  # from the catalogue
    return Table(columns, count)


def _in_order(tables: Mapping[str, Table], order: list[str]) -> dict[str, Table]:
    if missing := tables.keys() - set(order):
        raise BackupError(f"MLflow has no table {min(missing)} here: restore with the Ronda that made the backup")
    return {name: tables[name] for name in order if name in tables}


def _make_tables(uri: str) -> None:
    """Have MLflow make its tables where there are none."""
    from cloud.models.failures import told_apart
    from cloud.models.mlflow_link import quiet_mlflow

    mlflow = quiet_mlflow()
    with told_apart(uri):
        mlflow.MlflowClient(uri).search_experiments(max_results=1)


@contextlib.asynccontextmanager
async def _opened(uri: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A transaction in MLflow's database, in which nothing is cut short."""
    database = Database(uri, connections=1, statement_within_s=0)
    try:
        await database.open()
        async with database.copying() as connection:
            yield connection
    except RondaError as error:
        if isinstance(error, BackupError):
            raise
        raise type(error)(f"MLFLOW_BACKEND_STORE_URI: {error}") from error
    finally:
        await database.close()


def _path(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE))
