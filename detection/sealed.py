"""A state as bytes with its checksum: what was damaged on its way is refused in words, never taken for a memory."""

from __future__ import annotations

import math
import zlib
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError

# CRC-32 tells every damage of up to four bytes in a row, and all but one in four thousand million of the others.
_SUM_BYTES = 4

S = TypeVar("S", bound=msgspec.Struct)


def sealed(state: msgspec.Struct) -> bytes:
    """The state as MessagePack, its checksum before it."""
    body = msgspec.msgpack.encode(state)
    return _sum(body) + body


def opened(payload: bytes, kind: type[S], what: str) -> S:
    """The reverse; `what` it should be is for people. Raises: DetectionError for bytes that are none, or damaged."""
    body = payload[_SUM_BYTES:]
    if payload[:_SUM_BYTES] != _sum(body):
        raise DetectionError(f"not {what}: damaged, or of an older program; start afresh")
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DetectionError(f"not {what}: {error}") from error


def numbers(payload: bytes, kind: str, *shape: int) -> NDArray[Any]:
    """An array of NumPy's `kind` that was kept as bytes. Raises: DetectionError when they do not fill the `shape`."""
    found = len(payload) / np.dtype(kind).itemsize
    if found != math.prod(shape):
        raise DetectionError(f"the state holds {found:g} numbers where {math.prod(shape)} belong; start afresh")
    return np.frombuffer(payload, dtype=kind).reshape(shape)


def _sum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_SUM_BYTES, "little")
