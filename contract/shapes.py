"""The telemetry message as it is published to others: the limits that `contract.telemetry` checks, as annotations.

The decoder checks these itself, in one pass and in words of its own; a test holds the two to the same golden messages.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from contract.names import BOOT, CORRELATION_ID, METRIC
from contract.telemetry import MAX_METRICS, MAX_READINGS, MAX_SEQ

# RFC 8259 leaves the range of numbers open; the store keeps 64 bits.
_TIMES = Meta(
    ge=-(2**63), le=2**63 - 1, description="When it was measured: UTC epoch milliseconds by the device's clock."
)
_SEQ = Meta(ge=0, le=MAX_SEQ, description="Counts the readings of this boot, from 0.")
_VALUES = Meta(
    min_length=1,
    max_length=MAX_METRICS,
    description="Metric → finite number in the unit registered for it; a silent sensor is left out or null.",
)

Boot = Annotated[str, Meta(pattern=f"^{BOOT.pattern}$", description="64 random bits made at power-up.")]
Seq = Annotated[int, _SEQ]
MetricName = Annotated[str, Meta(pattern=f"^{METRIC.pattern}$")]
Values = Annotated[dict[MetricName, float | None], _VALUES]
CorrelationId = Annotated[
    str, Meta(pattern=f"^{CORRELATION_ID.pattern}$", description="The sender's own name for this whole message.")
]
Oldest = Annotated[
    int,
    Meta(ge=0, le=MAX_SEQ, description="The lowest seq of this boot still held; what is missing below it is lost."),
]
Replayed = Annotated[bool, Meta(description="Back-fill after an outage: stored, and nobody is woken for it.")]
Traced = Annotated[bool, Meta(description="Stamp this message at every station.")]


class ReadingRow(msgspec.Struct, kw_only=True):
    """One instant of a batch."""

    ts: Annotated[int, _TIMES]
    values: Values
    seq: Seq | None = None


class _Envelope(msgspec.Struct, kw_only=True):
    boot: Boot | None = None
    replayed: Replayed = False
    traced: Traced = False
    correlation_id: CorrelationId | None = None
    oldest: Oldest | None = None


class SingleReading(_Envelope, kw_only=True):
    """One device at one instant with all its values."""

    ts: Annotated[int, _TIMES]
    values: Values
    seq: Seq | None = None


class ReadingBatch(_Envelope, kw_only=True):
    """Several readings of one device and boot, in the order measured."""

    readings: Annotated[list[ReadingRow], Meta(min_length=1, max_length=MAX_READINGS)]
