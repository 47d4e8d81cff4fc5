"""A recording of a machine: a table with a time column, whatever its separator and its names."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from contract.errors import RondaError
from contract.names import is_metric
from contract.telemetry import MAX_METRICS
from edge.timestamps import ReadTime, time_reader

# What somebody wrote beside the measurements afterwards; no sensor said it.
LABELS = frozenset({"anomaly", "changepoint"})
# A column is a sensor's when at least half of its cells are numbers; the others are then missing values.
NUMERIC_SHARE = 0.5
# A hundred megabytes of text: a day of a pump at 10 Hz. More than that is not replayed but imported.
MAX_BYTES = 100 * 1024 * 1024


class RecordingError(RondaError):
    """The file is not a recording; says why in one line."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """n rows in the order of their time.

    `names`: the m metrics; `times_ms`: n times of the recording's own clock, never going back; `rows`: n tuples of m
    finite numbers; `skipped`: how many rows were left out, by reason; `ignored`: columns that are no metric.
    """

    names: tuple[str, ...]
    times_ms: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]
    skipped: Mapping[str, int]
    ignored: tuple[str, ...]


def read_recording(path: Path) -> Recording:
    """Read the file `path`. Raises: RecordingError for anything that is not a recording."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecordingError(f"{path} is larger than {MAX_BYTES // 2**20} MB: replay a part of it")
        content = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"cannot read the recording {path}: {error.strerror}") from error
    try:
        return parse_recording(_text(content))
    except RecordingError as error:
        raise RecordingError(f"{path} is not a recording: {error}") from error


def parse_recording(text: str) -> Recording:
    """Read a table. Raises: RecordingError."""
    header, lines, separator = _table(text)
    whole = [line for line in lines if len(line) == len(header)]
    skipped = Counter({"wrong number of columns": len(lines) - len(whole)})
    time_index, read_time = _time_column(header, whole)
    metrics = _metrics(header, whole, time_index, separator)
    timed = [(read_time(line[time_index]), line) for line in whole]
    rows = list(_rows(timed, metrics, separator, skipped))
    if len(rows) < 2:
        raise RecordingError(f"it has {len(rows)} usable rows; left out: {_counts(skipped)}")
    return Recording(
        names=tuple(header[index] for index in metrics),
        times_ms=tuple(at_ms for at_ms, _ in rows),
        rows=tuple(values for _, values in rows),
        skipped={reason: count for reason, count in skipped.items() if count},
        ignored=tuple(name for index, name in enumerate(header) if index != time_index and index not in metrics),
    )


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise RecordingError("it is not text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheets of Western Europe and Brazil; it has a meaning for every byte.
        return content.decode("latin-1")


def _table(text: str) -> tuple[list[str], list[list[str]], str]:
    first, _, _ = text.lstrip().partition("\n")
    separator = max(";\t,", key=first.count)
    if separator not in first:
        raise RecordingError("its first line names no columns separated by ';', ',' or tabs")
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(line)]
    except csv.Error as error:
        raise RecordingError(f"it is not a table: {error}") from error
    header = [name.strip() for name in lines[0]]
    _check_header(header, separator)
    if len(lines) < 2:
        raise RecordingError("it has a header and no rows")
    return header, lines[1:], separator


def _check_header(header: Sequence[str], separator: str) -> None:
    if sum(math.isfinite(_number(name, separator)) for name in header) > len(header) // 2:
        raise RecordingError("its first line has numbers where the names of the columns should be")
    twice = next((name for name, count in Counter(header).items() if name and count > 1), None)
    if twice:
        raise RecordingError(f"two of its columns are called {twice!r}")


def _time_column(header: Sequence[str], lines: Sequence[Sequence[str]]) -> tuple[int, ReadTime]:
    """The first column that can be read as times that advance."""
    if not lines:
        raise RecordingError("none of its rows has as many columns as the header")
    for index, name in enumerate(header):
        if found := time_reader(name, [line[index] for line in lines]):
            return index, found
    raise RecordingError(f"none of its columns ({', '.join(header)[:200]}) can be read as dates with times")


def _metrics(header: Sequence[str], lines: Sequence[Sequence[str]], time_index: int, separator: str) -> list[int]:
    """The columns that a sensor wrote: named, no label, and mostly numbers."""
    found = [
        index
        for index, name in enumerate(header)
        if index != time_index and name.lower() not in LABELS and name and _is_numeric(lines, index, separator)
    ]
    if not found:
        raise RecordingError("none of its columns holds measurements (numbers)")
    if len(found) > MAX_METRICS:
        raise RecordingError(f"it has {len(found)} columns with measurements; a device has at most {MAX_METRICS}")
    if bad := next((header[index] for index in found if not is_metric(header[index])), None):
        raise RecordingError(f"the column name {bad[:80]!r} must be 1 to 64 printable characters")
    return found


def _is_numeric(lines: Sequence[Sequence[str]], index: int, separator: str) -> bool:
    numbers = sum(math.isfinite(_number(line[index], separator)) for line in lines)
    return numbers >= max(1.0, NUMERIC_SHARE * len(lines))


def _rows(
    timed: Sequence[tuple[int | None, Sequence[str]]], metrics: Sequence[int], separator: str, skipped: Counter[str]
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The usable rows; what is left out is counted by its reason."""
    last_ms: int | None = None
    for at_ms, line in timed:
        values = tuple(_number(line[index], separator) for index in metrics)
        if at_ms is None:
            skipped["unreadable time"] += 1
        elif not all(map(math.isfinite, values)):
            skipped["missing or unreadable value"] += 1
        elif last_ms is not None and at_ms < last_ms:
            skipped["time going back"] += 1
        else:
            last_ms = at_ms
            yield at_ms, values


def _number(cell: str, separator: str) -> float:
    """The cell's number, NaN for anything else; decimal commas are read where the comma separates nothing."""
    try:
        return float(cell if separator == "," else cell.replace(",", "."))
    except ValueError:
        return math.nan


def _counts(skipped: Counter[str]) -> str:
    return ", ".join(f"{count} with {reason}" for reason, count in skipped.items() if count) or "none"
