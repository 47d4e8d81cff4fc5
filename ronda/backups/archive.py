"""Many small files as one: a tar archive, streamed both ways."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import IO, NamedTuple, cast

from ronda.backups.errors import BackupError
from ronda.backups.files import Packer, Stream, Unpacker
from ronda.backups.places import Place, Source

_CHUNK_BYTES = 2**20


class Packed(NamedTuple):
    """What an archive holds: how many files, and the SHA-256 of each that was asked for."""

    files: int
    sums: dict[str, str]


def pack(source: Source, packer: Packer, name: str, *, summed: str = "") -> Packed:
    """Write all files of `source` into the archive `name`; `summed`: how the names of those to be hashed end."""
    count = 0
    sums: dict[str, str] = {}
    with packer.file(name) as packed, tarfile.open(fileobj=cast("IO[bytes]", packed), mode="w|") as archive:
        for file in source.names():
            entry = tarfile.TarInfo(file.name)
            entry.size, entry.mode = file.size, 0o600
            content = _Summed(source.chunks(file.name))
            archive.addfile(entry, cast("IO[bytes]", Stream(content.chunks())))
            count += 1
            if file.name.endswith(summed):
                sums[file.name] = content.hexdigest()
    return Packed(count, sums)


def unpack(unpacker: Unpacker, name: str, place: Place, renamed: Mapping[str, str] | None = None) -> None:
    """Write every file of the archive to `place`; those in `renamed` only, under these names, where that is given.

    Raises: BackupError for an entry that leads elsewhere.
    """
    stream = Stream(unpacker.chunks(name))
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
        for entry in archive:
            path = PurePosixPath(entry.name)
            if not entry.isreg() or path.is_absolute() or ".." in path.parts:
                raise BackupError(f"{name} holds {entry.name!r}, which no backup of ours does")
            target = entry.name if renamed is None else renamed.get(entry.name)
            if target is None:
                continue
            content = archive.extractfile(entry)
            with place.writing(target) as sink:
                while content is not None and (chunk := content.read(_CHUNK_BYTES)):
                    sink.write(chunk)
    # To its last byte, which is when a change is noticed.
    while stream.read(_CHUNK_BYTES):
        pass


class _Summed:
    """Bytes on their way, with their SHA-256."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._sum = hashlib.sha256()

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._sum.update(chunk)
            yield chunk

    def hexdigest(self) -> str:
        return self._sum.hexdigest()
