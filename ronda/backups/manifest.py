"""The list of what a backup holds, written last: a backup without it was never finished."""

from __future__ import annotations

from typing import Literal

import msgspec

from cloud.models.object_store import ObjectStoreError
from ronda.backups.errors import BackupError
from ronda.backups.places import Place

NAME = "manifest.json"
FORMAT = 1


class Held(msgspec.Struct, frozen=True):
    """A file as it lies there: its size and its SHA-256."""

    bytes: int
    sha256: str


class Table(msgspec.Struct, frozen=True):
    """What was copied of a table."""

    columns: list[str]
    rows: int


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """MLflow's database: a file, or tables at its own schema version."""

    kind: Literal["sqlite", "postgresql"]
    version: str
    tables: dict[str, Table]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. Times in UTC epoch milliseconds."""

    format: int = FORMAT
    ronda: str
    made_at_ms: int
    # The migration that the database had seen.
    schema: str
    tables: dict[str, Table]
    # The days (since 1970) of which there are readings: what partitions have to be made for.
    reading_days: list[int]
    registry: Registry
    # Where the artifacts were, to which the registry's addresses refer.
    artifact_root: str
    artifacts: int
    # Passwords, keys and certificates, by their path in the installation's folder.
    private: list[str]
    # Promotions whose bytes were not where the registry says: `site/device version`.
    without_bytes: list[str]
    files: dict[str, Held]


def write(place: Place, manifest: Manifest) -> None:
    """Say that the backup is complete."""
    with place.writing(NAME) as sink:
        sink.write(msgspec.json.format(msgspec.json.encode(manifest)))


def read(place: Place) -> Manifest:
    """What the backup holds. Raises: BackupError when there is none, or one that this program cannot read."""
    try:
        payload = b"".join(place.chunks(NAME))
    except (BackupError, ObjectStoreError) as error:
        raise BackupError(f"{place.uri} is no complete backup: {error}{_others(place)}") from error
    try:
        kind = msgspec.json.decode(payload, type=_Format).format
        if kind == FORMAT:
            return msgspec.json.decode(payload, type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupError(f"{place.uri}/{NAME} is damaged: {error}") from error
    raise BackupError(f"{place.uri} has format {kind}, this program reads {FORMAT}: restore it with a newer one")


class _Format(msgspec.Struct):
    format: int


def _others(place: Place) -> str:
    """The newest backup below, for who named the folder that holds them all."""
    inside = [name.removesuffix(f"/{NAME}") for name, _ in place.names() if name.endswith(f"/{NAME}")]
    return f"; the newest below it is {place.uri}/{max(inside)}" if inside else ""
