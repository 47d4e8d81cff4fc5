"""What can never be taken over HTTP, and in which words it is refused; no store and no chain is needed to say so."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.telemetry import decode
from tests.api.door import Door
from tests.support import golden

BAD = {
    "not JSON": (b"{", 400, "malformed_json"),
    "empty": (b"", 400, "malformed_json"),
    "not UTF-8": (b'{"site": "\xff"}', 400, "malformed_json"),
    "a number": (b"7", 422, "wrong_shape"),
    "null": (b"null", 422, "wrong_shape"),
    "an empty list": (b"[]", 422, "wrong_shape"),
    "a list of numbers": (b"[1, 2]", 422, "wrong_shape"),
    "no address": (b'{"ts": 1, "values": {"a": 1}}', 422, "wrong_shape"),
    "a site with a slash": (b'{"site": "a/b", "device": "c", "ts": 1, "values": {"a": 1}}', 422, "bad_name"),
    "a wildcard": (b'{"site": "+", "device": "#", "ts": 1, "values": {"a": 1}}', 422, "bad_name"),
    "NaN in a list": (b'[{"site": "a", "device": "b", "ts": 1, "values": {"a": NaN}}]', 422, "not_finite"),
    "infinity": (b'{"site": "a", "device": "b", "ts": 1, "values": {"a": -Infinity}}', 422, "not_finite"),
    "too large a number": (b'{"site": "a", "device": "b", "ts": 1, "values": {"a": 1e999}}', 422, "not_finite"),
    "seconds": (b'{"site": "a", "device": "b", "ts": 1763800000, "values": {"a": 1}}', 422, "time_in_seconds"),
    "microseconds": (
        b'{"site": "a", "device": "b", "ts": 1763800000123456, "values": {"a": 1}}',
        422,
        "time_in_microseconds",
    ),
    "1970": (b'{"site": "a", "device": "b", "ts": 12, "values": {"a": 1}}', 422, "time_before_2000"),
    "the future": (b'{"site": "a", "device": "b", "ts": 2763800000123, "values": {"a": 1}}', 422, "time_in_future"),
    "deep": (b'{"site": "a", "device": "b", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "malformed_json"),
}


@pytest.fixture
async def door():
    opened = Door()
    async with opened.http:
        yield opened


@pytest.mark.parametrize("what", BAD)
async def test_bad_input_is_a_problem_with_its_reason(door: Door, what: str):
    body, status, reason = BAD[what]
    answer = await door.post(body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
    assert answer.json()["request_id"]


def spelled(value: object) -> bytes:
    """As JSON, with NaN and Infinity as Python writes them, and lone surrogates as they come."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("sent", golden.accepted(), ids=str)
async def test_golden_messages_that_the_decoder_takes_are_taken(door: Door, sent):
    answer = await door.post(sent.http_body)
    if sent.refused:
        assert answer.status_code == 422, answer.text
        told = [(each["reason"], each["detail"]) for each in answer.json()["errors"]]
        assert told == [(row.reason, row.refusal) for row in sent.refused]
    elif answer.status_code == 422:
        # What the decoder takes may still not be what the first reading registers.
        assert {each["reason"] for each in answer.json()["errors"]} == {"unknown_metric"}
    else:
        assert answer.status_code == 202, answer.text
        topic, payload = door.published[0]
        assert topic == sent.topic
        assert decode(payload, sent.site, sent.device).readings == sent.readings


@pytest.mark.parametrize("sent", golden.refused("decoder", "plausibility"), ids=str)
async def test_golden_messages_are_refused_with_the_same_words(door: Door, sent):
    door.now_ms = sent.now_ms
    door.metrics = sent.metrics
    answer = await door.post(sent.payload if sent.http_body is None else sent.http_body)
    problem = answer.json()
    assert 400 <= answer.status_code < 500
    if sent.http_body is None:
        assert problem["reason"] in (sent.reason, "wrong_shape", "malformed_json")
        return
    assert problem["reason"] == sent.reason
    if sent.reason not in ("malformed_json", "too_large"):
        assert sent.refusal in problem["detail"]
    assert door.published == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
field = st.sampled_from(
    ["site", "device", "boot", "seq", "ts", "values", "readings", "traced", "correlation_id", "oldest"]
)
likely = st.one_of(
    st.just("plant-1"),
    st.just("9f2c41d07be3a655"),
    st.just(1_763_800_000_123),
    st.just({"temperature_c": 61.2}),
    anything,
)
messages = st.dictionaries(field, likely, max_size=10)
mostly = st.fixed_dictionaries(
    {"site": st.just("plant-1"), "device": st.just("pump-07")},
    optional=dict.fromkeys(("boot", "seq", "ts", "values", "readings", "oldest", "replayed"), likely),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=200)
    | (messages | mostly | st.lists(messages | mostly | anything, max_size=5) | anything).map(spelled)
)
async def test_no_body_whatever_makes_the_door_fail(door: Door, body: bytes):
    answer = await door.post(body)
    assert answer.status_code == 202 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 202:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] != "internal_error"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), junk=st.binary(min_size=1, max_size=3))
async def test_no_torn_message_makes_the_door_fail(door: Door, at: int, junk: bytes):
    whole = spelled(
        [
            {
                "site": "plant-1",
                "device": "pump-07",
                "boot": "9f2c41d07be3a655",
                "readings": [
                    {"seq": n, "ts": 1_763_800_000_000 + n, "values": {"temperature_c": n, "vibration_de_rms_g": 0.1}}
                    for n in range(4)
                ],
            }
        ]
    )
    answer = await door.post(whole[:at] + junk + whole[at:])
    assert answer.status_code == 202 or 400 <= answer.status_code < 500
