"""Where files lie: a folder or a prefix in a bucket, alike for a backup and for MLflow's artifacts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from cloud.models.object_store import ObjectStore, Stored
from ronda.backups.errors import BackupError

_CHUNK_BYTES = 2**20


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take these."""


class Source(Protocol):
    """Files, each named by a path with '/'."""

    def names(self) -> Iterator[Stored]:
        """Every file."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes, piece by piece."""


class Place(Source, Protocol):
    """A folder, or the like of one, that can be written to."""

    @property
    def uri(self) -> str:
        """Its address, for people."""

    def writing(self, name: str) -> AbstractContextManager[Sink]:
        """A new file, there as a whole when the block ends, and not at all when it fails."""


def place_at(address: str, endpoint_url: str) -> Place:
    """`s3://bucket/prefix`, a `file:` address or a path."""
    if address.startswith("s3://"):
        return ObjectStore(address, endpoint_url)
    return Folder(Path(unquote(urlsplit(address).path)) if address.startswith("file:") else Path(address))


class Chosen:
    """Single small files of this machine, under names of our own."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._taken: dict[str, bytes] = {}

    def names(self) -> Iterator[Stored]:
        """Each, read as a whole: who replaces it later changes neither its size nor its bytes here.

        Raises: BackupError when one cannot be read.
        """
        for name, path in self._files.items():
            self._taken[name] = b"".join(_read(path))
            yield Stored(name, len(self._taken[name]))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file that was just named; they are given once."""
        yield self._taken.pop(name)


class Folder:
    """A folder on this machine; what is written is readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @property
    def uri(self) -> str:
        """Its path."""
        return str(self._path)

    def names(self) -> Iterator[Stored]:
        """Every regular file below it, in the order of their names."""
        for file in sorted(self._path.rglob("*")):
            if file.is_file() and not file.is_symlink():
                yield Stored(file.relative_to(self._path).as_posix(), file.stat().st_size)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes. Raises: BackupError when it cannot be read."""
        return _read(self._path / name)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Sink]:
        """A new file of mode 600, on the disk when the block ends. Raises: BackupError when it cannot be written."""
        path = self._path / name
        draft = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise BackupError(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _read(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
