"""An event reads back as it was written, travels on its own topic, and damaged ones are refused, never more."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.filters import matches
from contract import codec
from contract.errors import ContractError, Reason
from contract.events import (
    Event,
    HopEvent,
    MachineStateEvent,
    ModelPromotedEvent,
    Readings,
    StoredEvent,
    ValidatedDataEvent,
    Watermark,
)
from contract.topics import ChainTopic, Channel, DeviceTopic, ModelTopic
from tests.contract import strategies as ours
from tests.contract.outcome import outcome

# The watermark is the one event that does not say whom it is about: the device knows who it is.
READ_BACK = [kind for kind in codec.EVENTS if kind is not StoredEvent]
KINDS = pytest.mark.parametrize("kind", codec.EVENTS, ids=lambda kind: kind.__name__)


def test_every_event_has_a_strategy() -> None:
    assert set(ours.EVENTS) == set(codec.EVENTS)


@pytest.mark.parametrize("kind", READ_BACK, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_reads_back_as_it_was_written(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(ours.EVENTS[kind])
    ((_, payload),) = codec.encode_events([event])
    assert codec.decode_events(kind, payload) == [event]


@pytest.mark.parametrize("kind", READ_BACK, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_doing_the_same_work_twice_gives_the_same_event(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(ours.EVENTS[kind])
    ((_, payload),) = codec.encode_events([event])
    (again,) = codec.decode_events(kind, payload)
    assert codec.encode_events([again]) == codec.encode_events([event])
    assert getattr(again, "id", None) == getattr(event, "id", None)


@given(st.lists(st.one_of(*ours.EVENTS.values()), max_size=8))
def test_no_event_is_lost_in_a_batch_and_each_kind_keeps_its_order(events: list[Event]) -> None:
    messages = codec.encode_events(events)
    for kind in READ_BACK:
        there = [
            event for topic, payload in messages if carries(topic, kind) for event in codec.decode_events(kind, payload)
        ]
        assert sorted(map(repr, there)) == sorted(repr(event) for event in events if type(event) is kind)
        for device in {(event.site, event.device) for event in there}:
            assert of(device, there) == of(device, [event for event in events if type(event) is kind])


@given(st.one_of(*ours.EVENTS.values()))
def test_an_event_travels_on_the_topic_of_its_device(event: Event) -> None:
    ((topic, _),) = codec.encode_events([event])
    if topic.startswith("ronda/"):
        assert DeviceTopic.parse(topic)[:2] == (event.site, event.device)
    elif isinstance(event, ModelPromotedEvent):
        assert ModelTopic.parse(topic) == (event.site, event.device, event.role)
    else:
        assert ChainTopic.parse(topic).partition == event.partition
    assert carries(topic, type(event))


@given(ours.EVENTS[StoredEvent])
def test_a_device_reads_its_watermark_as_boot_and_position_alone(event: StoredEvent) -> None:
    ((topic, payload),) = codec.encode_events([event])
    assert DeviceTopic.parse(topic) == (event.site, event.device, Channel.STORED)
    assert msgspec.json.decode(payload) == {"boot": event.boot, "through": event.through}
    assert msgspec.json.decode(payload, type=Watermark) == Watermark(boot=event.boot, through=event.through)


def test_a_model_a_watermark_and_a_machines_state_are_kept_for_those_who_come_later() -> None:
    retained = {kind for kind in codec.EVENTS if codec.is_retained(kind)}
    assert retained == {ModelPromotedEvent, StoredEvent, MachineStateEvent}


def test_a_partition_narrows_the_batched_kinds() -> None:
    assert codec.topic_filter(ValidatedDataEvent, 7) == "ronda-chain/v1/validated/7"
    assert codec.topic_filter(ValidatedDataEvent) == "ronda-chain/v1/validated/+"


@KINDS
@given(payload=st.binary(max_size=200) | ours.json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_are_a_contract_error(kind: type[Event], payload: bytes) -> None:
    check(kind, payload)


@KINDS
@given(data=st.data())
def test_what_is_nearly_an_event_is_a_contract_error_or_an_event(kind: type[Event], data: st.DataObject) -> None:
    check(kind, json.dumps(data.draw(ours.nearly(kind))).encode())


@KINDS
@given(data=st.data())
def test_a_damaged_event_is_a_contract_error_or_an_event(kind: type[Event], data: st.DataObject) -> None:
    ((_, payload),) = codec.encode_events([data.draw(ours.EVENTS[kind])])
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 20)))
    check(kind, payload[:start] + data.draw(st.binary(max_size=4)) + payload[end:])


def test_deeply_nested_brackets_are_a_contract_error() -> None:
    with pytest.raises(ContractError) as refusal:
        codec.decode_events(HopEvent, b'[{"x": ' + b"[" * 100_000)
    assert refusal.value.reason is Reason.WRONG_SHAPE


@given(ours.EVENTS[ValidatedDataEvent])
def test_a_block_whose_columns_have_two_lengths_is_refused(event: ValidatedDataEvent) -> None:
    longer = msgspec.structs.replace(event, seq=[*event.seq, 1])
    ((_, payload),) = codec.encode_events([longer])
    with pytest.raises(ContractError, match="must have one length"):
        codec.decode_events(ValidatedDataEvent, payload)


def check(kind: type[Event], payload: bytes) -> None:
    events = outcome(codec.decode_events, kind, payload)
    if isinstance(events, ContractError):
        assert events.reason is Reason.WRONG_SHAPE
        assert events.detail.startswith(f"not a {kind.__name__}: ") or "must have one length" in events.detail
        return
    for event in events:
        assert isinstance(event, kind)
        assert 0 <= event.partition < 64
        if isinstance(event, Readings):
            assert len(event) >= 1
            assert event.correlation_id


def carries(topic: str, kind: type[Event]) -> bool:
    return matches(codec.topic_filter(kind), topic)


def of(device: tuple[str, str], events: list[Event]) -> list[Event]:
    return [event for event in events if (event.site, event.device) == device]
