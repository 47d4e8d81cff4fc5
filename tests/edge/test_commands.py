"""What a device can be told, and how it refuses the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commands import CommandError, decode
from edge.faults import FaultKind


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_can_be_simulated(kind):
    command = decode(f'{{"id": "c-1", "simulate": {{"fault": "{kind}"}}}}'.encode())
    assert command.simulate is not None
    assert command.simulate.kind is kind


def test_none_simulates_a_healthy_minute():
    command = decode(b'{"id": "c-1", "simulate": {"fault": "none"}}')
    assert command.simulate is not None
    assert command.simulate.kind is None


def test_without_a_choice_a_bearing_wears():
    command = decode(b'{"id": "c-1", "simulate": {}}')
    assert command.simulate is not None
    assert command.simulate.kind is FaultKind.BEARING_WEAR


@pytest.mark.parametrize(
    ("payload", "command_id", "refused", "detail"),
    [
        (b"not json", None, "malformed", "not a command"),
        (b"\xff\xfe", None, "malformed", "not a command"),
        (b"[" * 5000, None, "malformed", "not a command"),
        (b'{"simulate": {}}', None, "malformed", "not a command: Object missing required field `id`"),
        (b'{"id": "a b", "prepare": true}', None, "malformed", "the id must be 1 to 128"),
        (b'{"id": "c-1"}', "c-1", "malformed", "exactly one of simulate, prepare, fault and stop"),
        (b'{"id": "c-1", "prepare": true, "simulate": {}}', "c-1", "malformed", "exactly one of"),
        (b'{"id": "c-1", "dance": true}', "c-1", "malformed", "unknown field `dance`"),
        (
            b'{"id": "c-1", "simulate": {"fault": "gremlins"}}',
            "c-1",
            "unknown_fault",
            "'gremlins' is none of: imbalance,",
        ),
        (b'{"id": "c-1", "fault": {"kind": "imbalance", "seconds": 0}}', "c-1", "malformed", "seconds must be above 0"),
        (b'{"id": "c-1", "stop": {"seconds": 9999}}', "c-1", "malformed", "at most 3600"),
        (b'{"id": "c-1", "fault": {"kind": "gremlins", "seconds": 5}}', "c-1", "malformed", "gremlins"),
    ],
)
def test_what_is_no_command_is_refused_with_its_id_and_a_reason(payload, command_id, refused, detail):
    with pytest.raises(CommandError) as caught:
        decode(payload)
    answer = caught.value.answer
    assert (answer.id, answer.refused) == (command_id, refused)
    assert detail in answer.detail


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_refusal(payload):
    with pytest.raises(CommandError):
        decode(payload)
