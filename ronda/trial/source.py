"""The text of a recording, plain or gzipped, in whatever encoding the logger wrote it."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from ronda.trial.errors import TrialError

# Enough lines to tell separators, decimal sign, header and time apart.
SAMPLE_BYTES = 1 << 16

_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# What people try besides text, by the first bytes.
_NOT_TEXT = {
    b"PK\x03\x04": "is a workbook or a ZIP archive; save the sheet as CSV",
    b"PAR1": "is Parquet; write it as CSV",
    b"\x89HDF": "is HDF5; write it as CSV",
    b"%PDF": "is a PDF",
}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text. Raises: TrialError when there is none, it is empty, or it is no text."""
    try:
        with _binary(path) as raw:
            sample = raw.read(SAMPLE_BYTES)
        encoding = _encoding(path, sample)
        with _binary(path) as raw, _text(raw, encoding) as text:
            yield text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TrialError(f"{path}: the gzip file is damaged or cut short ({error})") from error
    except OSError as error:
        raise TrialError(f"{path}: {error.strerror or error}") from error


def size(path: Path) -> int:
    """Bytes on disk."""
    return path.stat().st_size


def _binary(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("BinaryIO", gzip.open(path) if packed else path.open("rb"))


def _text(raw: BinaryIO, encoding: str) -> TextIO:
    return io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")


def _encoding(path: Path, sample: bytes) -> str:
    if not sample.strip():
        raise TrialError(f"{path}: the file is empty")
    for magic, what in _NOT_TEXT.items():
        if sample.startswith(magic):
            raise TrialError(f"{path}: this {what}")
    if sample.startswith(_UTF_16):
        return "utf-16"
    if b"\0" in sample:
        raise TrialError(f"{path}: this is not text; a CSV file is needed")
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that the sample's end cuts through is none of another encoding.
        if error.start < len(sample) - 4:
            return "cp1252"
    return "utf-8-sig"
