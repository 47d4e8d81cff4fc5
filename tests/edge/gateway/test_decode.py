"""The mapping file and its decoders: what they take, and in which words they refuse."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.gateway.decode import Decoders
from edge.gateway.errors import GatewayError
from edge.gateway.gathering import Gathering
from edge.gateway.mapping import parse_mapping

SITE = 'site = "plant-1"\n'


def decoders(source: str) -> Decoders:
    return Decoders(parse_mapping(f"{SITE}[[source]]\n{source}"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Object missing required field `site`"),
        ("site = 3", "site: Expected `str`, got `int`"),
        ('site = "gateway"', "the site name 'gateway' is reserved"),
        (SITE + "limit = 1", "Object contains unknown field `limit`"),
        (SITE + "[limits]\nrows = 0", "limits.rows must be above 0, it is 0"),
        (SITE + '[[source]]\ntopic = "a/b{device}"', "each fill a whole level"),
        (SITE + '[[source]]\ntopic = "a/{device}/{device}"', "names one of its levels twice"),
        (SITE + '[[source]]\ntopic = "a/+"', "the topic 'a/+' has no level {device}"),
        (SITE + '[[source]]\ntopic = "a/{device}"\nformat = "value"', "has no level {metric}"),
        (SITE + '[[source]]\ntopic = "a/{device}"\nformat = "xml"', "source[0].format: Invalid enum value 'xml'"),
        (SITE + '[[source]]\ntopic = "a/{device}"\ndevices = { a = "b c" }', "the device name 'b c' must be"),
        (SITE + '[[source]]\ntopic = "a/{device}"\ngather_s = 99', "a time from 0 to 60 seconds, it is 99"),
        ("site = ", "Invalid value (at end of document)"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_words(text, words):
    with pytest.raises(GatewayError) as refused:
        parse_mapping(text)
    assert words in str(refused.value)


def test_without_a_source_the_sites_own_devices_are_carried():
    assert Decoders(parse_mapping(SITE)).filters == ["ronda/v1/plant-1/+/telemetry"]


def test_an_object_gives_its_numbers_under_the_names_of_the_mapping():
    found = decoders('topic = "z/{device}"\nmetrics = { "t.in" = "inlet_c" }\ntime = "at"\ntime_unit = "s"')
    said = found.decode("z/p1", b'{"t": {"in": 4, "out": 5}, "at": 1763800000.25}').values
    assert said is not None
    assert (said.device, said.values, said.at_ms) == ("p1", {"inlet_c": 4.0}, 1_763_800_000_250)


@pytest.mark.parametrize(
    ("unit", "at"), [("ms", "1763800000250"), ("iso", '"2025-11-22T08:26:40.250Z"'), ("s", "1763800000.25")]
)
def test_a_time_is_read_in_its_unit(unit, at):
    found = decoders(f'topic = "z/{{device}}"\ntime = "at"\ntime_unit = "{unit}"')
    said = found.decode("z/p1", f'{{"x": 1, "at": {at}}}'.encode()).values
    assert said is not None
    assert said.at_ms == 1_763_800_000_250


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed_json"), (b"[1]", "wrong_shape"), (b'{"x": "a"}', "no_values"), (b'{"x": true}', "no_values"),
        (b'{"x": 1e400}', "malformed_json"), (b"{" * 5000, "malformed_json"),
    ],
)  # fmt: skip
def test_what_is_no_reading_is_refused_with_its_reason(payload, reason):
    (refusal,) = decoders('topic = "z/{device}"').decode("z/p1", payload).refused
    assert refusal.reason in {reason, "wrong_shape"}
    assert refusal.payload == payload


def test_a_device_whose_name_no_topic_could_carry_is_renamed_or_refused():
    found = decoders('topic = "z/{device}"\ndevices = { "Pump 7" = "pump-07" }')
    said = found.decode("z/Pump 7", b'{"x": 1}').values
    assert said is not None
    assert said.device == "pump-07"
    (refusal,) = found.decode("z/Pump 8", b'{"x": 1}').refused
    assert "name it in the source's `devices`" in refusal.detail


def test_a_malformed_reading_that_is_counted_goes_on_as_it_came():
    found = Decoders(parse_mapping(SITE))
    topic, boot = "ronda/v1/plant-1/p1/telemetry", "9f2c41d07be3a655"
    text = f'{{"boot":"{boot}","readings":[{{"seq":1,"ts":1,"values":{{"x":1}}}},{{"seq":2,"ts":2,"values":"?"}}]}}'
    readings = found.decode(topic, text.encode()).readings
    assert [(each.seq, each.mark.whole) for each in readings] == [(1, False), (2, True)]
    assert msgspec.json.decode(readings[1].body) == {"boot": boot, "readings": [{"seq": 2, "ts": 2, "values": "?"}]}


@given(st.binary(max_size=200), st.sampled_from(["ronda/v1/plant-1/p1/telemetry", "z/p1", "v/p1/t", "elsewhere"]))
def test_no_payload_stops_the_decoders(payload, topic):
    mapping = parse_mapping(
        SITE + '[[source]]\ntopic="ronda/v1/plant-1/+/telemetry"\nformat="ronda"\n[[source]]\ntopic="z/{device}"\n'
        '[[source]]\ntopic="v/{device}/{metric}"\nformat="value"'
    )
    found = Decoders(mapping).decode(topic, payload)
    assert found.readings or found.values or found.refused


def gathered(messages, *, begun, window_s=1.0):
    found = decoders(f'topic="v/{{device}}/{{metric}}"\nformat="value"\ngather_s={window_s}\nmetrics={{a="a",b="b"}}')
    gathering, clock = Gathering(lambda _: begun), itertools.count(0, 100)
    out = []
    for metric, value in messages:
        said = found.decode(f"v/p1/{metric}", str(value).encode()).values
        out += gathering.add(said, next(clock))
    return [msgspec.json.decode(each.body) for each in out], gathering


def test_a_value_that_comes_again_begins_the_next_reading():
    assert gathered([("a", 1), ("a", 2)], begun=True)[0] == [{"a": 1.0}]


def test_the_first_reading_waits_for_every_listed_metric():
    done, gathering = gathered([("a", 1), ("a", 2), ("b", 3)], begun=False)
    assert done == []
    assert [msgspec.json.decode(each.body) for each in gathering.due(300)] == [{"a": 2.0, "b": 3.0}]


def test_a_listed_metric_that_never_comes_is_not_waited_for_longer_than_a_minute():
    _, gathering = gathered([("a", 1)], begun=False)
    assert gathering.due(59_000) == []
    assert len(gathering.due(60_000)) == 1
