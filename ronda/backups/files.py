"""The files of a backup: compressed and summed while they are written, checked and unpacked while they are read."""

from __future__ import annotations

import contextlib
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping

from ronda.backups.errors import BackupError
from ronda.backups.manifest import Held
from ronda.backups.places import Place, Sink

# Half of the CPU time of the usual 6 for a tenth more bytes (measured on readings).
_LEVEL = 3
# zlib's way to say: with gzip's head and tail.
_GZIP = 16 + zlib.MAX_WBITS
_TELL_EVERY_S = 5.0

Say = Callable[[str], None]


class Packer:
    """Writes the files of a backup and remembers each for the manifest."""

    def __init__(self, place: Place, say: Say) -> None:
        self._place = place
        self._say = say
        self.files: dict[str, Held] = {}

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Packed]:
        """A new file, gzip-compressed."""
        with self._place.writing(name) as sink:
            packed = Packed(sink, name, self._say)
            yield packed
            self.files[name] = packed.finish()
        self._say(f"  {name:<44} {size_of(self.files[name].bytes)}")


class Packed:
    """A file being written."""

    def __init__(self, sink: Sink, name: str, say: Say) -> None:
        self._sink = sink
        self._name = name
        self._say = say
        self._told = time.monotonic()
        self._bytes = 0
        self._sum = hashlib.sha256()
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, data: bytes) -> int:
        """Take these bytes."""
        self._put(self._gzip.compress(data))
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self._told = time.monotonic()
            self._say(f"  {self._name:<44} {size_of(self._bytes)} so far")
        return len(data)

    def finish(self) -> Held:
        """Write the rest."""
        self._put(self._gzip.flush())
        return Held(self._bytes, self._sum.hexdigest())

    def _put(self, data: bytes) -> None:
        self._bytes += len(data)
        self._sum.update(data)
        self._sink.write(data)


class Unpacker:
    """Reads the files of a backup; one that is not as the manifest says is named."""

    def __init__(self, place: Place, files: Mapping[str, Held]) -> None:
        self._place = place
        self._files = files

    def verify(self, say: Say) -> None:
        """Read all and compare. Raises: BackupError naming the first that is missing, cut short or changed."""
        for name, held in self._files.items():
            for _ in self._checked(name):
                pass
            say(f"  {name:<44} {size_of(held.bytes)} as it was written")

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's content. Raises: BackupError, at the end, when it changed since it was verified."""
        unzip = zlib.decompressobj(_GZIP)
        for chunk in self._checked(name):
            if content := unzip.decompress(chunk):
                yield content
        if content := unzip.flush():
            yield content

    def _checked(self, name: str) -> Iterator[bytes]:
        held = self._files[name]
        size, found = 0, hashlib.sha256()
        for chunk in self._place.chunks(name):
            size += len(chunk)
            found.update(chunk)
            yield chunk
        where = f"{self._place.uri}/{name}"
        if size != held.bytes:
            raise BackupError(f"{where} has {size} bytes, written were {held.bytes}: use another backup")
        if found.hexdigest() != held.sha256:
            raise BackupError(f"{where} was changed after it was written: use another backup")


class Stream:
    """Chunks as a file that is read from front to back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ahead = bytearray()

    def read(self, size: int) -> bytes:
        """At most `size` bytes; fewer only at the end."""
        while len(self._ahead) < size and (chunk := next(self._chunks, b"")):
            self._ahead += chunk
        given = bytes(self._ahead[:size])
        # A bytearray forgets its head without moving the rest.
        del self._ahead[:size]
        return given


def size_of(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
