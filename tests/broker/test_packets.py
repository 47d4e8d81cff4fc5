"""Bytes to packets and back: property tests against amqtt's own reader, and every way to break one."""

from __future__ import annotations

import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt.publish import PublishPacket
from hypothesis import given
from hypothesis import strategies as st

from broker.bus import MAX_PACKET_BYTES
from broker.embedded.packets import (
    PUBACK,
    MalformedError,
    Publish,
    TooLargeError,
    id_packet,
    publish,
    read_packet_id,
    read_publish,
    split,
)

TOPICS = st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(TOPICS, st.binary(max_size=300), st.booleans(), st.booleans(), st.integers(1, 65_535), st.integers(0, 1))
def test_what_we_write_we_and_amqtt_read(
    topic: str, payload: bytes, retain: bool, dup: bool, packet_id: int, qos: int
) -> None:
    raw = publish(topic, payload, qos=qos, retain=retain, packet_id=packet_id, dup=dup)
    ((first, body),), used = split(bytearray(raw + b"\x30"))
    assert used == len(raw)
    assert read_publish(first, body) == Publish(topic, payload, qos, retain, packet_id if qos else 0)


async def test_amqtt_reads_what_we_write() -> None:
    packet = await PublishPacket.from_stream(
        BufferReader(publish("a/b", b"x" * 200, qos=1, retain=True, packet_id=7, dup=True))
    )
    assert (packet.topic_name, packet.data, packet.qos) == ("a/b", b"x" * 200, 1)
    assert (packet.retain_flag, packet.dup_flag, packet.packet_id) == (True, True, 7)


@given(st.lists(st.binary(max_size=400), max_size=5), st.data())
def test_packets_come_out_whole_however_they_were_cut(payloads: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(publish("t", payload, qos=1, retain=False, packet_id=1) for payload in payloads)
    buffer, found = bytearray(), []
    while raw:
        cut = data.draw(st.integers(1, len(raw)))
        buffer += raw[:cut]
        raw = raw[cut:]
        packets, used = split(buffer)
        del buffer[:used]
        found += [read_publish(*packet).payload for packet in packets]
    assert found == payloads


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_malformed(raw: bytes) -> None:
    try:
        packets, _ = split(bytearray(raw))
        for first, body in packets:
            read_publish(first, body)
    except MalformedError:
        pass


def test_a_packet_over_the_limit_is_refused_by_its_header_alone() -> None:
    with pytest.raises(TooLargeError, match=str(MAX_PACKET_BYTES)):
        split(bytearray(b"\x30\xff\xff\xff\x7f"))


def test_an_acknowledgement_goes_both_ways() -> None:
    assert read_packet_id(id_packet(PUBACK, 300)[2:]) == 300
    with pytest.raises(MalformedError):
        read_packet_id(b"\x01")
