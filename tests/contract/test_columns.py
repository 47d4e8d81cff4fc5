"""What is decoded straight into columns is what the careful decoder understands; all else is left to it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import telemetry
from contract.columns import columns
from contract.errors import ContractError
from tests.contract import strategies as ours
from tests.contract.outcome import outcome
from tests.support.golden import accepted, refused

BOOT = "9f2c41d07be3a655"
CORPUS = [golden.payload for golden in (*accepted(), *refused())]


def check(payload: bytes) -> bool:
    """Was it ordinary? Then both decoders say the same."""
    if (plain := columns(payload)) is None:
        return False
    message = outcome(telemetry.decode, payload, "plant-1", "pump-07")
    assert not isinstance(message, ContractError)
    assert not message.refused
    assert message.correlation_id is None
    assert (message.replayed, message.traced, message.oldest) == (plain.replayed, plain.traced, plain.oldest)
    assert {reading.boot for reading in message.readings} == {plain.boot}
    assert [reading.seq for reading in message.readings] == plain.seq
    assert [reading.measured_at_ms for reading in message.readings] == plain.measured_at_ms
    rows = [list(zip(plain.metrics, row, strict=True)) for row in plain.rows]
    assert [list(reading.values.items()) for reading in message.readings] == rows
    return True


@given(ours.boots, st.lists(st.tuples(ours.seqs, ours.times), min_size=1, max_size=5), ours.values, ours.envelopes)
def test_a_message_of_readings_that_are_alike_is_ordinary_unless_it_has_an_id(
    boot: str, places: list[tuple[int, int]], values: dict[str, float], envelope: dict[str, Any]
) -> None:
    rows: list[tuple[int | None, int, dict[str, float]]] = [(seq, ts, values) for seq, ts in places]
    assert check(telemetry.encode(boot, rows, **envelope)) == (envelope["correlation_id"] is None)


@given(ours.boots, st.lists(ours.rows, min_size=1, max_size=5), ours.envelopes)
def test_whatever_is_taken_is_taken_as_it_was_written(
    boot: str, rows: list[tuple[int | None, int, dict[str, float]]], envelope: dict[str, Any]
) -> None:
    check(telemetry.encode(boot, rows, **envelope))


@pytest.mark.parametrize("payload", CORPUS)
def test_the_golden_messages_are_understood_alike(payload: bytes) -> None:
    check(payload)


@given(ours.messages.map(lambda message: json.dumps(message).encode()))
def test_what_is_nearly_a_message_is_left_alone_or_understood_alike(payload: bytes) -> None:
    check(payload)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_left_alone(payload: bytes) -> None:
    check(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": None},
        {"seq": -1},
        {"seq": telemetry.MAX_SEQ + 1},
        {"ts": 2**63},
        {"ts": 1.5},
        {"values": {}},
        {"values": {"a": None}},
        {"values": {"a": "1"}},
        {"values": {"a": True}},
        {"values": {"a\n": 1}},
        {"values": {f"m{n}": 1 for n in range(65)}},
        {"boot": "9F2C41D07BE3A655"},
        {"correlation_id": "order-17"},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_careful_decoder(change: dict[str, Any]) -> None:
    message = {"boot": BOOT, "seq": 1, "ts": 1_763_800_000_123, "values": {"a": 1.0}}
    assert columns(msgspec.json.encode(message)) is not None
    assert columns(msgspec.json.encode(message | change)) is None


def test_more_than_a_message_may_hold_is_left_to_the_careful_decoder() -> None:
    rows: list[tuple[int | None, int, dict[str, float]]] = [(n, 1_763_800_000_123, {"a": 1.0}) for n in range(1001)]
    assert columns(telemetry.encode(BOOT, rows[:1000])) is not None
    assert columns(telemetry.encode(BOOT, rows)) is None
    assert columns(telemetry.encode(BOOT, rows[:1]) + b" " * telemetry.MAX_PAYLOAD_BYTES) is None
