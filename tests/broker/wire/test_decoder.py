"""The decoder against any bytes in any cuts, and against what no broker may send."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bus import MAX_PACKET_BYTES, Message
from broker.embedded import packets as embedded
from broker.wire.decoder import Connack, Decoder, ProtocolError, Received, Suback, packet_ids

EPOCH = 3
CONNACK = b"\x20\x02\x00\x00"
TOPICS = st.text(st.characters(exclude_characters="+#\x00", codec="utf-8"), min_size=1, max_size=20)
# Lengths on both sides of where one more byte of remaining length begins.
PAYLOADS = st.binary(max_size=300) | st.sampled_from([100, 127, 128, 16_383, 16_384, 20_000]).map(bytes)
IDS = st.integers(1, 65_535)


def publish(topic: str, payload: bytes, packet_id: int = 0, *, retain: bool = False, dup: bool = False) -> bytes:
    """As the embedded broker writes it: code that shares nothing with the decoder."""
    qos = 1 if packet_id else 0
    return embedded.publish(topic, payload, qos=qos, retain=retain, packet_id=packet_id, dup=dup and qos == 1)


PACKETS = st.one_of(
    st.builds(publish, TOPICS, PAYLOADS, IDS | st.just(0), retain=st.booleans(), dup=st.booleans()),
    IDS.map(lambda packet_id: b"\x40\x02" + packet_id.to_bytes(2, "big")),
    st.tuples(IDS, st.binary(min_size=1, max_size=5)).map(
        lambda both: bytes([0x90, 2 + len(both[1])]) + both[0].to_bytes(2, "big") + both[1]
    ),
    st.just(b"\xd0\x00"),
)
STREAMS = st.lists(PACKETS, max_size=20).map(lambda packets: CONNACK + b"".join(packets))
CUTS = st.lists(st.integers(0, 25_000), max_size=30)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[first:last] for first, last in itertools.pairwise(edges)]


def decoded(parts: list[bytes]) -> tuple[list[Message], list[int], list[Connack | Suback], int] | None:
    """All that came out, and the bytes that are held; None for a broken stream."""
    decoder, everything = Decoder(EPOCH), Received()
    try:
        for part in parts:
            received = decoder.feed(part)
            everything.messages += received.messages
            everything.acknowledged += received.acknowledged
            everything.answers += received.answers
    except ProtocolError:
        return None
    return everything.messages, everything.acknowledged, everything.answers, decoder.held


@given(STREAMS, CUTS)
def test_a_stream_says_the_same_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    whole = decoded([stream])
    assert whole is not None
    assert whole[3] == 0
    assert decoded(pieces(stream, cuts)) == whole


@given(STREAMS)
def test_a_stream_says_the_same_byte_by_byte(stream: bytes) -> None:
    assert decoded([stream[at : at + 1] for at in range(len(stream))]) == decoded([stream])


@given(st.binary(max_size=400), CUTS)
def test_any_bytes_mean_the_same_in_any_cuts_or_are_refused(noise: bytes, cuts: list[int]) -> None:
    for stream in (noise, CONNACK + noise):
        assert decoded(pieces(stream, cuts)) == decoded([stream])


@given(STREAMS, st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=5), CUTS)
def test_a_damaged_stream_means_the_same_in_any_cuts_or_is_refused(
    stream: bytes, damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    damaged = bytearray(stream)
    for at, byte in damage:
        damaged[at % len(damaged)] = byte
    assert decoded(pieces(bytes(damaged), cuts)) == decoded([bytes(damaged)])


@given(TOPICS, PAYLOADS, IDS, st.booleans())
def test_a_message_arrives_as_it_was_sent(topic: str, payload: bytes, packet_id: int, retain: bool) -> None:
    messages, *_ = decoded([CONNACK + publish(topic, payload, packet_id, retain=retain)]) or ([],)
    (message,) = messages
    assert (message.topic, message.payload, message.retain) == (topic, payload, retain)
    assert packet_ids(messages, EPOCH) == [packet_id]
    # Of another connection, or at QoS 0: nothing to acknowledge.
    assert packet_ids(messages, EPOCH + 1) == []
    unasked, *_ = decoded([CONNACK + publish(topic, payload)]) or ([],)
    assert packet_ids(unasked, EPOCH) == []


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\xd0\x00", "came first"),
        (b"HTTP/1.1 400 Bad Request\r\n", "came first"),
        (CONNACK + CONNACK, "no client is sent"),
        (b"\x20\x02\x02\x00", "no client is sent"),
        (CONNACK + b"\x10\x00", "no client is sent"),
        (CONNACK + b"\x00\x00", "no client is sent"),
        (CONNACK + b"\x40\x01\x00", "no client is sent"),
        (CONNACK + b"\xd0\x01\x00", "no client is sent"),
        (CONNACK + b"\x30\xff\xff\xff\xff\x01", "never ends"),
        (CONNACK + b"\x30\xff\xff\xff\x7f", "over the limit"),
        (CONNACK + b"\x30\x00", "cannot be read"),
        (CONNACK + b"\x30\x03\x00\x09a", "shorter than it says"),
        (CONNACK + b"\x32\x05\x00\x01a\x00\x00", "without a packet id"),
        (CONNACK + b"\x34\x05\x00\x01a\x00\x01", "at another QoS"),
        (CONNACK + b"\x36\x05\x00\x01a\x00\x01", "at another QoS"),
        (CONNACK + b"\x30\x02\x00\x00", "no topic"),
        (CONNACK + b"\x30\x05\x00\x03a/#", "no topic"),
        (CONNACK + b"\x30\x04\x00\x02\xff\xfe", "cannot be read"),
    ],
)
def test_what_no_broker_may_send_is_refused_with_the_reason(stream: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        Decoder(EPOCH).feed(stream)


def test_what_is_held_is_never_more_than_one_packet_and_a_read() -> None:
    decoder, piece = Decoder(EPOCH), bytes(64 * 1024)
    decoder.feed(CONNACK)
    packet = publish("plant/1", bytes(MAX_PACKET_BYTES - 100), 1)
    most = 0
    for _ in range(3):
        for at in range(0, len(packet), len(piece)):
            decoder.feed(packet[at : at + len(piece)])
            most = max(most, decoder.held)
    assert most <= MAX_PACKET_BYTES
    assert decoder.held == 0


def test_topics_without_end_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.wire.decoder._MAX_TOPICS", 100)
    decoder = Decoder(EPOCH)
    decoder.feed(CONNACK)
    for number in range(1000):
        decoder.feed(publish(f"plant/{number}", b""))
        decoder.feed(publish(f"plant/{number}/" + "x" * 300, b""))
    assert len(decoder._topics) <= 100
    assert max(map(len, decoder._topics)) < 20
