"""Telemetry as nearly every device sends it, decoded straight into columns: what each reading pays at the door.

Whatever is out of the ordinary, or wrong, is left to `contract.telemetry.decode`, which tells why.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec

from contract.names import is_boot, is_metric
from contract.telemetry import MAX_METRICS, MAX_PAYLOAD_BYTES, MAX_READINGS, MAX_SEQ, MAX_TS

_Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
_Ts = Annotated[int, msgspec.Meta(ge=-MAX_TS, le=MAX_TS)]


class Columns(NamedTuple):
    """The readings of one message, all of one boot and with the same metrics.

    Shapes: `seq` and `measured_at_ms` have n entries; `rows` has n tuples of one finite number for each of `metrics`.
    """

    boot: str
    metrics: tuple[str, ...]
    seq: list[int]
    measured_at_ms: list[int]
    rows: list[tuple[float, ...]]
    replayed: bool
    traced: bool
    oldest: int | None


class _WireReading(msgspec.Struct, gc=False):
    values: dict[str, float]
    ts: _Ts
    seq: _Seq


class _WireEnvelope(msgspec.Struct, gc=False, kw_only=True):
    boot: str
    replayed: bool = False
    traced: bool = False
    oldest: _Seq | None = None
    # Somebody's own id is out of the ordinary.
    correlation_id: None = None


class _WireOne(_WireEnvelope, gc=False, kw_only=True):
    values: dict[str, float]
    ts: _Ts
    seq: _Seq


class _WireMany(_WireEnvelope, gc=False, kw_only=True):
    readings: Annotated[list[_WireReading], msgspec.Meta(min_length=1, max_length=MAX_READINGS)]


_decode_one = msgspec.json.Decoder(_WireOne).decode
_decode_many = msgspec.json.Decoder(_WireMany).decode


def columns(payload: bytes) -> Columns | None:
    """The readings of a message in order of its sending, or None for one that is out of the ordinary or wrong."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        return _many(_decode_many(payload)) if b'"readings"' in payload else _one(_decode_one(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _one(wire: _WireOne) -> Columns | None:
    values = wire.values
    return _checked(wire, tuple(values), [wire.seq], [wire.ts], [tuple(values.values())])


def _many(wire: _WireMany) -> Columns | None:
    readings = wire.readings
    metrics = tuple(readings[0].values)
    # By the names in their order: a sender writes all readings of a message alike.
    if any(tuple(reading.values) != metrics for reading in readings):
        return None
    return _checked(
        wire,
        metrics,
        [reading.seq for reading in readings],
        [reading.ts for reading in readings],
        [tuple(reading.values.values()) for reading in readings],
    )


def _checked(
    wire: _WireEnvelope, metrics: tuple[str, ...], seq: list[int], ts: list[int], rows: list[tuple[float, ...]]
) -> Columns | None:
    if not (_are_sound(metrics) and is_boot(wire.boot)):
        return None
    return Columns(wire.boot, metrics, seq, ts, rows, wire.replayed, wire.traced, wire.oldest)


@lru_cache(4096)
def _are_sound(metrics: tuple[str, ...]) -> bool:
    return 1 <= len(metrics) <= MAX_METRICS and all(map(is_metric, metrics))
