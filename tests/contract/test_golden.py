"""What devices say: the golden messages that are accepted, and those that are refused with these words."""

from __future__ import annotations

import pytest

from contract import plausibility, telemetry
from contract.errors import ContractError, Reason
from contract.telemetry import Telemetry
from contract.topics import Channel, DeviceTopic
from tests.contract.outcome import outcome
from tests.support.golden import Accepted, Golden, Refused, RefusedRow, accepted, refused


def decode(golden: Golden) -> Telemetry:
    topic = DeviceTopic.parse(golden.topic)
    assert topic.channel is Channel.TELEMETRY
    return telemetry.decode(golden.payload, topic.site, topic.device)


@pytest.mark.parametrize("golden", accepted(), ids=str)
def test_an_accepted_message_decodes_to_its_readings(golden: Accepted) -> None:
    message = decode(golden)
    assert message.readings == golden.readings
    assert (message.replayed, message.traced) == (golden.replayed, golden.traced)
    assert (message.correlation_id, message.oldest) == (golden.correlation_id, golden.oldest)


@pytest.mark.parametrize("golden", accepted(), ids=str)
def test_of_an_accepted_batch_exactly_the_bad_readings_are_refused(golden: Accepted) -> None:
    rows = [
        RefusedRow(reason=row.reason, refusal=row.detail, boot=row.boot, seq=row.seq) for row in decode(golden).refused
    ]
    assert rows == golden.refused


@pytest.mark.parametrize("golden", accepted(), ids=str)
def test_an_accepted_reading_can_be_true(golden: Accepted) -> None:
    now_ms = max(reading.measured_at_ms for reading in golden.readings)
    assert [plausibility.fault(r.measured_at_ms, r.values, None, now_ms) for r in golden.readings] == [None] * len(
        golden.readings
    )


@pytest.mark.parametrize("golden", refused("topic"), ids=str)
def test_a_message_on_an_impossible_topic_is_refused_with_these_words(golden: Refused) -> None:
    with pytest.raises(ContractError) as refusal:
        decode(golden)
    assert (refusal.value.reason, refusal.value.detail) == (golden.reason, golden.refusal)


@pytest.mark.parametrize("golden", refused("decoder"), ids=str)
def test_a_message_that_cannot_be_read_is_refused_with_these_words(golden: Refused) -> None:
    assert refusal_of(golden) == (golden.reason, golden.refusal, golden.boot, golden.seq)


@pytest.mark.parametrize("golden", refused("plausibility"), ids=str)
def test_a_reading_that_cannot_be_true_is_refused_with_these_words(golden: Refused) -> None:
    message = decode(golden)
    (reading,) = message.readings
    metrics = None if golden.metrics is None else {metric.name: metric for metric in golden.metrics}
    fault = plausibility.fault(reading.measured_at_ms, reading.values, metrics, golden.now_ms)
    assert fault == (golden.reason, golden.refusal)
    assert (reading.boot, reading.seq) == (golden.boot, golden.seq)


@pytest.mark.parametrize("golden", refused("decoder"), ids=str)
def test_a_refused_single_reading_keeps_the_bytes_as_sent(golden: Refused) -> None:
    message = outcome(decode, golden)
    if isinstance(message, ContractError):
        return
    assert [row.payload for row in message.refused] == [golden.payload]


def test_every_refusal_that_is_the_contracts_has_a_golden_message() -> None:
    # These two are found by the store and by the runner's last net; no bytes can show them.
    elsewhere = {Reason.IDENTITY_CONFLICT, Reason.INTERNAL_ERROR}
    assert {golden.reason for golden in refused()} == set(Reason) - elsewhere


def refusal_of(golden: Refused) -> tuple[Reason, str, str | None, int | None]:
    """What the decoder says: about the whole message, or about its only reading when that has a number."""
    message = outcome(decode, golden)
    if isinstance(message, ContractError):
        return message.reason, message.detail, None, None
    assert not message.readings
    (row,) = message.refused
    return row.reason, row.detail, row.boot, row.seq
