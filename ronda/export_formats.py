"""Tables as files that are written row group by row group: CSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import enum
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from contract.errors import RondaError


class Format(enum.StrEnum):
    """How readings are written."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


class Kind(enum.StrEnum):
    """What a column holds; each value may be missing."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"


Columns = Mapping[str, Kind]


class Table(Protocol):
    """A file that takes columns of rows."""

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Append rows, given as one sequence per column."""


@contextmanager
def table(path: Path, form: Format, columns: Columns) -> Iterator[Table]:
    """The file, whole when the block ends."""
    writer = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.PARQUET: _parquet}[form]
    with writer(path, columns) as opened:
        yield opened


class ExportError(RondaError):
    """It cannot be exported so; the text says what to do."""


class _Csv:
    def __init__(self, file: Any) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """A missing value is empty; a number has as many digits as tell it from its neighbours."""
        self._writer.writerows(zip(*columns, strict=True))


@contextmanager
def _csv(path: Path, columns: Columns) -> Iterator[Table]:
    with path.open("w", encoding="utf-8", newline="") as file:
        made = _Csv(file)
        made.write([[name] for name in columns])
        yield made


class _Jsonl:
    def __init__(self, file: Any, names: Sequence[str]) -> None:
        self._file, self._names = file, names
        self._encode = msgspec.json.Encoder().encode_lines

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """One object a row; missing values are left out."""
        rows = (
            {name: value for name, value in zip(self._names, row, strict=True) if value is not None}
            for row in zip(*columns, strict=True)
        )
        self._file.write(self._encode(rows))


@contextmanager
def _jsonl(path: Path, columns: Columns) -> Iterator[Table]:
    with path.open("wb") as file:
        yield _Jsonl(file, list(columns))


class _Parquet:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """A row group of its own, which is what is held in memory."""
        import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


@contextmanager
def _parquet(path: Path, columns: Columns) -> Iterator[Table]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types
    except ImportError as error:
        raise ExportError("Parquet needs pyarrow, which comes with ronda[cloud]; csv and jsonl need nothing") from error
    types = {Kind.TEXT: pa.string(), Kind.WHOLE: pa.int64(), Kind.NUMBER: pa.float64(), Kind.TRUTH: pa.bool_()}
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield _Parquet(writer, schema)
