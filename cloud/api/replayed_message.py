"""The message that brings a refused reading to the door once more, with the identity that it had: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from cloud.agents.acquisition import ingest
from cloud.agents.agent import RawTelemetry
from cloud.agents.validation import validate
from cloud.storage.quarantine import Rejection
from contract.codec import topic_filter
from contract.errors import ContractError
from contract.events import ReadingRejectedEvent, Readings, SensorReadingIngestedEvent, ValidatedDataEvent
from contract.identity import UNCOUNTED_BOOT
from contract.plausibility import Metric
from contract.telemetry import Reading, encode
from contract.topics import Channel, DeviceTopic

_BLOCKS: Mapping[str, type[Readings]] = {
    topic_filter(kind): kind for kind in (SensorReadingIngestedEvent, ValidatedDataEvent)
}
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Prospect(NamedTuple):
    """What the door would make of a message now: the readings that it would take, and its refusals."""

    readings: list[Reading]
    refused: list[ReadingRejectedEvent]


def message_of(entry: Rejection) -> tuple[str, bytes] | None:
    """(topic, payload) for the device's own topic; None for what never was a device's message.

    The bytes are those that were sent. One reading of a batch gets back the batch's `boot`; a block that an agent
    stumbled over becomes telemetry again; and all say `replayed`, since they tell of the past.
    """
    if (kind := _BLOCKS.get(entry.topic)) is not None:
        return _from_block(kind, entry.payload)
    try:
        topic = DeviceTopic.parse(entry.topic)
    except ContractError:
        return None
    if topic.channel is not Channel.TELEMETRY:
        return None
    return entry.topic, _with_identity(entry)


def prospect(topic: str, payload: bytes, metrics: Sequence[Metric] | None, now_ms: int) -> Prospect:
    """By the very functions of acquisition and validation, with the ranges of now."""
    limits = None if metrics is None else {metric.name: metric for metric in metrics}
    found = Prospect([], [])
    for event in ingest(RawTelemetry(topic, payload, now_ms)):
        judged = validate(event, limits, now_ms) if isinstance(event, SensorReadingIngestedEvent) else [event]
        for each in judged:
            if isinstance(each, ValidatedDataEvent):
                found.readings.extend(_readings(each))
            elif isinstance(each, ReadingRejectedEvent):
                found.refused.append(each)
    return found


def _with_identity(entry: Rejection) -> bytes:
    try:
        body = _object.decode(entry.payload)
    except _NOT_DECODED:
        return entry.payload
    if entry.numbered:
        body.setdefault("boot", msgspec.Raw(msgspec.json.encode(entry.boot)))
    return msgspec.json.encode(body | {"replayed": msgspec.Raw(b"true")})


def _from_block(kind: type[Readings], payload: bytes) -> tuple[str, bytes] | None:
    try:
        block = msgspec.json.decode(payload, type=kind)
    except _NOT_DECODED:
        return None
    counted = block.boot != UNCOUNTED_BOOT
    rows = [
        (block.seq[at] if counted else None, block.measured_at_ms[at], _values(block, at)) for at in range(len(block))
    ]
    boot = block.boot if counted else None
    topic = str(DeviceTopic(block.site, block.device, Channel.TELEMETRY))
    return topic, encode(boot, rows, replayed=True, correlation_id=block.request_id)


def _readings(block: Readings) -> list[Reading]:
    return [
        Reading(
            site=block.site,
            device=block.device,
            boot=block.boot,
            seq=block.seq[at],
            measured_at_ms=block.measured_at_ms[at],
            values=_values(block, at),
        )
        for at in range(len(block))
    ]


def _values(block: Readings, at: int) -> dict[str, float]:
    return {metric: column[at] for metric, column in zip(block.metrics, block.values, strict=True)}
