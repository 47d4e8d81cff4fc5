"""What a device says is what we hear, and nothing that arrives can stop the chain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract import plausibility, telemetry
from contract.errors import ContractError, Reason
from contract.identity import UNCOUNTED_BOOT, digest_seq
from contract.names import is_boot
from tests.contract import strategies as ours
from tests.contract.outcome import outcome
from tests.support.golden import accepted, refused

BOOT = "9f2c41d07be3a655"
CORPUS = [golden.payload for golden in (*accepted(), *refused()) if len(golden.payload) < 2000]
# Pieces that turn a sound message into a nearly sound one.
PIECES = [
    b'"readings"',
    b"[",
    b"{",
    b"}",
    b'"',
    b"null",
    b"NaN",
    b"1e999",
    b"-",
    b"\xff",
    b"\x00",
    b"9" * 40,
    b"true",
    b",",
]


@given(ours.boots, st.lists(ours.rows, min_size=1, max_size=5), ours.envelopes)
def test_a_message_reads_back_as_it_was_written(
    boot: str, rows: list[tuple[int, int, dict[str, float]]], envelope: dict[str, Any]
) -> None:
    message = telemetry.decode(telemetry.encode(boot, [*rows], **envelope), "plant-1", "pump-07")
    assert [(r.seq, r.measured_at_ms, r.values) for r in message.readings] == rows
    assert {(r.site, r.device, r.boot, r.counted) for r in message.readings} == {("plant-1", "pump-07", boot, True)}
    assert not message.refused
    assert {name: getattr(message, name) for name in envelope} == envelope


@given(st.lists(st.tuples(st.none(), ours.times, ours.values), min_size=1, max_size=5))
def test_without_a_counter_the_same_content_is_the_same_reading(
    rows: list[tuple[None, int, dict[str, float]]],
) -> None:
    message = telemetry.decode(telemetry.encode(None, [*rows]), "plant-1", "pump-07")
    assert [r.seq for r in message.readings] == [digest_seq("plant-1", "pump-07", ts, values) for _, ts, values in rows]
    assert {(r.boot, r.counted) for r in message.readings} == {(UNCOUNTED_BOOT, False)}


def test_no_boot_can_pass_for_a_device_without_a_counter() -> None:
    assert not is_boot(UNCOUNTED_BOOT)


def test_as_many_bytes_as_allowed_are_read_and_one_more_is_refused() -> None:
    def padded(size: int) -> bytes:
        body = telemetry.encode(BOOT, [(0, 1763800000123, {"a": 1.0})])
        return body + b" " * (size - len(body))

    assert telemetry.decode(padded(telemetry.MAX_PAYLOAD_BYTES), "plant-1", "pump-07").readings
    with pytest.raises(ContractError) as refusal:
        telemetry.decode(padded(telemetry.MAX_PAYLOAD_BYTES + 1), "plant-1", "pump-07")
    assert refusal.value.reason is Reason.TOO_LARGE


def test_the_largest_batch_of_a_pump_fits() -> None:
    values = {f"channel_number_{n}": 1.2345678 for n in range(8)}
    payload = telemetry.encode(BOOT, [(n, 1763800000123 + n, values) for n in range(telemetry.MAX_READINGS)])
    assert len(telemetry.decode(payload, "plant-1", "pump-07").readings) == telemetry.MAX_READINGS


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_with_a_reason_or_understood(payload: bytes) -> None:
    check(payload)


@given(ours.json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_json_is_refused_with_a_reason_or_understood(payload: bytes) -> None:
    check(payload)


@given(ours.messages.map(lambda message: json.dumps(message).encode()))
@example(b'{"values": 1, "boot": "9f2c41d07be3a655", "seq": ' + b"[" * 100_000)
@example(b'{"boot": "9f2c41d07be3a655", "readings": [{"seq": ' + b"[" * 900 + b"]" * 900 + b"}]}")
def test_what_is_nearly_a_message_is_refused_with_a_reason_or_understood(payload: bytes) -> None:
    check(payload)


@given(st.sampled_from(CORPUS), st.data())
def test_a_damaged_message_is_refused_with_a_reason_or_understood(payload: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(start, min(len(payload), start + 20)))
        payload = payload[:start] + data.draw(st.sampled_from(PIECES) | st.binary(max_size=3)) + payload[end:]
    check(payload)


def check(payload: bytes) -> None:
    """Decoded and judged: never an exception but ContractError, and only what every later station can hold."""
    message = outcome(telemetry.decode, payload, "plant-1", "pump-07")
    if isinstance(message, ContractError):
        assert message.detail
        return
    assert message.readings or message.refused
    for reading in message.readings:
        assert 0 <= reading.seq < 2**63
        assert -(2**63) <= reading.measured_at_ms < 2**63
        plausibility.fault(reading.measured_at_ms, reading.values, None, 1_763_800_001_000)
    for row in message.refused:
        assert row.detail
        assert (row.boot is None) == (row.seq is None)
        assert row.seq is None or 0 <= row.seq <= telemetry.MAX_SEQ
