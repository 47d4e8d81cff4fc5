"""Readings of the outbox as the message that a device would have sent."""

from __future__ import annotations

import msgspec

from edge.gateway.rows import Batch

_encode = msgspec.json.Encoder().encode


def message(batch: Batch, *, late: bool) -> bytes:
    """The telemetry of a batch; `late`: it is back-fill. What goes on as it came has its message already."""
    first = batch.rows[0]
    if first.mark.whole:
        return first.body
    body: dict[str, object] = {
        "boot": batch.boot,
        "readings": [{"seq": row.seq, "ts": row.measured_at_ms, "values": msgspec.Raw(row.body)} for row in batch.rows],
    }
    if late or first.mark.replayed:
        body["replayed"] = True
    if first.mark.traced:
        body["traced"] = True
    if first.mark.correlation_id is not None:
        body["correlation_id"] = first.mark.correlation_id
    if batch.oldest is not None:
        body["oldest"] = batch.oldest
    return _encode(body)
