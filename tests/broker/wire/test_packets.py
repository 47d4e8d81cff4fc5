"""What the client writes, read by the embedded broker's decoder, which shares no code with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.bus import Will
from broker.embedded.packets import read_packet_id, read_publish, split
from broker.wire.packets import DUP, RETAIN, Greeting, acknowledge, connect, named, publish_parts, subscribe

IDS = st.integers(1, 65_535)
TOPICS = st.text(st.characters(exclude_characters="+#\x00", codec="utf-8"), min_size=1, max_size=80)


@given(TOPICS, st.binary(max_size=300) | st.sampled_from([16_380, 2_097_152]).map(bytes), IDS, st.booleans())
def test_a_publish_is_read_as_it_was_meant(topic: str, payload: bytes, packet_id: int, retain: bool) -> None:
    frame = b"".join(publish_parts(packet_id, named(topic), payload, DUP | (RETAIN if retain else 0)))
    [(first, body)], size = split(bytearray(frame))
    assert size == len(frame)
    assert first & DUP
    assert read_publish(first, body) == (topic, payload, 1, retain, packet_id)


@given(st.lists(IDS, max_size=50))
def test_every_packet_id_is_acknowledged_once_in_its_order(packet_ids: list[int]) -> None:
    packets, _ = split(bytearray(acknowledge(packet_ids)))
    assert [(first, read_packet_id(body)) for first, body in packets] == [(0x40, each) for each in packet_ids]


def test_a_greeting_carries_no_more_than_it_must() -> None:
    assert connect(Greeting("a", persistent=True, keepalive_s=30)) == b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x1e\x00\x01a"
    # A password alone would break the protocol.
    assert connect(Greeting("a", persistent=True, keepalive_s=30, password="p"))[9] == 0


def test_a_greeting_carries_will_user_and_password_in_their_order() -> None:
    greeting = Greeting("a", persistent=False, keepalive_s=1, user="u", password="é", will=Will("t", b"gone"))
    expected = b"\x00\x04MQTT\x04\xee\x00\x01\x00\x01a\x00\x01t\x00\x04gone\x00\x01u\x00\x02\xc3\xa9"
    assert connect(greeting) == bytes([0x10, len(expected)]) + expected


def test_a_subscription_asks_for_qos_1() -> None:
    assert subscribe(7, ["a/+", "b"]) == b"\x82\x0c\x00\x07\x00\x03a/+\x01\x00\x01b\x01"
