"""Readings as COPY's binary rows: packed from columns in one go, without an object for each reading.

The format is PostgreSQL's (documentation of COPY, "Binary Format"; arrays as in `array_send`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import repeat, starmap
from typing import Any

from cloud.storage.ingest_rows import Row, aligned_columns
from cloud.storage.ingest_sql import Connection
from contract.events import ValidatedDataEvent

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_FLOAT8_OID = 701
_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)
_EIGHT = _LENGTH(8)
_FIELDS = struct.pack(">h", len(Row._fields))


async def copy_readings(connection: Connection, blocks: Sequence[tuple[ValidatedDataEvent, Sequence[str]]]) -> None:
    """Copy blocks, each with its device's metrics in stored order, straight to their place.

    Raises: asyncpg.UniqueViolationError when the store has one of the readings.
    """
    if not blocks:
        return
    content = BytesIO(b"".join([_HEADER, *(packed(block, metrics) for block, metrics in blocks), _TRAILER]))
    await connection.copy_to_table("readings", source=content, columns=Row._fields, format="binary")


def packed(block: ValidatedDataEvent, metrics: Sequence[str]) -> bytes:
    """The rows of a block, in the order of the columns of `Row`. Raises: OverflowError for what no column can hold."""
    columns = aligned_columns(block.metrics, block.values, metrics)
    head = _FIELDS + b"".join(map(_text, (block.site, block.device, block.boot))) + _EIGHT
    received = _EIGHT + struct.pack(">q", block.received_at_ms)
    tail = _LENGTH(1) + bytes([block.replayed]) + (_NULL if block.request_id is None else _text(block.request_id))
    # Between two values that vary stand bytes that do not.
    parts: list[Iterable[Any]] = [repeat(head), block.seq, repeat(_EIGHT), block.measured_at_ms]
    form = [f">{len(head)}sq4sq"]
    constant = received + _array_head(columns)
    for column in columns:
        if column is None:
            constant += _NULL
            continue
        constant += _EIGHT
        parts += [repeat(constant), column]
        form.append(f"{len(constant)}sd")
        constant = b""
    constant += tail
    pack = struct.Struct("".join([*form, f"{len(constant)}s"])).pack
    rows: Iterator[tuple[Any, ...]] = zip(*parts, repeat(constant), strict=False)
    try:
        return b"".join(starmap(pack, rows))
    except struct.error as error:
        raise OverflowError(f"{block.site}/{block.device}: {error}") from error


def _array_head(columns: Sequence[object]) -> bytes:
    """The field's length, and how the array is shaped: one dimension that counts from 1."""
    nulls = sum(column is None for column in columns)
    size = 20 + 4 * len(columns) + 8 * (len(columns) - nulls)
    return struct.pack(">iiiIii", size, 1, nulls > 0, _FLOAT8_OID, len(columns), 1)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _LENGTH(len(raw)) + raw
