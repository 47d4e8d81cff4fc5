"""Events to bytes and back, and which topic carries which event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import msgspec

from contract.errors import ContractError, Reason
from contract.events import (
    AnomalyDetectedEvent,
    Event,
    HopEvent,
    InputDriftedEvent,
    MachineStateEvent,
    ModelPromotedEvent,
    ModelRefusedEvent,
    NotificationSentEvent,
    ReadingRejectedEvent,
    Readings,
    SensorReadingIngestedEvent,
    StoredEvent,
    ValidatedDataEvent,
    Watermark,
)
from contract.topics import ChainTopic, Channel, DeviceTopic, ModelTopic, Stage

E = TypeVar("E", bound=Event)

# Batched per partition: one message is an array of events.
_CHAIN_STAGE: dict[type[Event], Stage] = {
    SensorReadingIngestedEvent: Stage.INGESTED,
    ValidatedDataEvent: Stage.VALIDATED,
    HopEvent: Stage.TRACE,
}
# One message is one event, on the device's own topic, for people and other systems to subscribe to.
_DEVICE_CHANNEL: dict[type[Event], Channel] = {
    AnomalyDetectedEvent: Channel.ANOMALY,
    ReadingRejectedEvent: Channel.REJECTED,
    NotificationSentEvent: Channel.NOTIFICATION,
    StoredEvent: Channel.STORED,
    MachineStateEvent: Channel.STATE,
    InputDriftedEvent: Channel.DRIFT,
    ModelRefusedEvent: Channel.MODEL_REFUSED,
}
EVENTS: tuple[type[Event], ...] = (*_CHAIN_STAGE, *_DEVICE_CHANNEL, ModelPromotedEvent)
_RETAINED = frozenset({ModelPromotedEvent, StoredEvent, MachineStateEvent})

_encode = msgspec.json.Encoder().encode
_one = {kind: msgspec.json.Decoder(kind) for kind in EVENTS}
_many = {kind: msgspec.json.Decoder(list[kind]) for kind in EVENTS}  # type: ignore[valid-type]  # built from the table


def topic_filter(kind: type[Event], partition: int | None = None) -> str:
    """The subscription that brings events of this kind; `partition` narrows the batched ones."""
    if kind in _CHAIN_STAGE:
        return ChainTopic.filter(_CHAIN_STAGE[kind], partition)
    if kind is ModelPromotedEvent:
        return ModelTopic.filter()
    return DeviceTopic.filter(_DEVICE_CHANNEL[kind])


def is_retained(kind: type[Event]) -> bool:
    """Does the broker keep the last event of this kind per device for those who come later?"""
    return kind in _RETAINED


def encode_events(events: Iterable[Event]) -> list[tuple[str, bytes]]:
    """(topic, payload) pairs that carry `events`: the batched kinds one message per kind and partition, in order."""
    batches: dict[str, list[Event]] = {}
    messages: list[tuple[str, bytes]] = []
    for event in events:
        if stage := _CHAIN_STAGE.get(type(event)):
            batches.setdefault(str(ChainTopic(stage, event.partition)), []).append(event)
        else:
            messages.append((_topic(event), _encode(_body(event))))
    return [(topic, _encode(batch)) for topic, batch in batches.items()] + messages


def decode_events(kind: type[E], payload: bytes) -> list[E]:
    """The events of one message. Raises: ContractError when the bytes are not such events."""
    try:
        if kind in _CHAIN_STAGE:
            events = cast("list[E]", _many[kind].decode(payload))
        else:
            events = [cast("E", _one[kind].decode(payload))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(Reason.WRONG_SHAPE, f"not a {kind.__name__}: {error}") from error
    _check_shapes(events)
    return events


def _body(event: Event) -> Event | Watermark:
    """A device knows who it is: its watermark says boot and position alone."""
    return Watermark(boot=event.boot, through=event.through) if isinstance(event, StoredEvent) else event


def _topic(event: Event) -> str:
    if isinstance(event, ModelPromotedEvent):
        return str(ModelTopic(event.site, event.device, event.role))
    return str(DeviceTopic(event.site, event.device, _DEVICE_CHANNEL[type(event)]))


def _check_shapes(events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, Readings):
            n = len(event.seq)
            whole = len(event.measured_at_ms) == n and all(len(column) == n for column in event.values)
            if not n or not whole or len(event.values) != len(event.metrics):
                raise ContractError(Reason.WRONG_SHAPE, "the columns of a block of readings must have one length")
