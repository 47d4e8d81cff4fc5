"""The contract for everybody else: fresh, sound by the standards' own rules, and true to the golden messages."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contract import codec, schema, shapes, telemetry
from contract import yaml as ours_yaml
from contract.errors import Reason
from contract.events import Event, ModelRole, StoredEvent
from contract.topics import AgentTopic, ChainTopic, Channel, DeviceTopic, ModelTopic, Stage
from tests.contract import strategies as ours
from tests.support.golden import Accepted, Golden, Refused, accepted, refused


def of_wrong_shape(golden: Accepted) -> bool:
    """Has it a reading that a schema can tell is wrong? It knows no largest number."""
    return any(row.reason is not Reason.NOT_FINITE for row in golden.refused)


TELEMETRY = jsonschema.Draft202012Validator(schema.telemetry_schema())
# What YAML 1.1 can carry: no control characters, no halves of characters; a float with its point.
PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"]))
PLAIN_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from([0.5, -1.25, 61.2]) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=12,
)
DOCUMENT = yaml.safe_load((schema.FOLDER / schema.ASYNCAPI).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", schema.documents())
def test_a_generated_file_is_fresh(name: str) -> None:
    there = (schema.FOLDER / name).read_text(encoding="utf-8")
    assert there == schema.documents()[name], "run: python -m contract.schema"


def test_every_generated_file_is_listed() -> None:
    assert {path.name for path in schema.FOLDER.iterdir()} == set(schema.documents())


@pytest.mark.parametrize("name", [name for name in schema.documents() if name.endswith(".json")])
def test_a_schema_is_valid_by_its_meta_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.documents()[name]))


@pytest.mark.parametrize("golden", [golden for golden in accepted() if not golden.refused], ids=str)
def test_an_accepted_message_is_valid(golden: Accepted) -> None:
    TELEMETRY.validate(json.loads(golden.payload))


@pytest.mark.parametrize("golden", [golden for golden in accepted() if of_wrong_shape(golden)], ids=str)
def test_a_batch_with_a_bad_reading_is_not_valid_as_a_whole(golden: Accepted) -> None:
    assert not is_valid(golden)


@pytest.mark.parametrize("golden", [golden for golden in refused("decoder") if golden.schema], ids=str)
def test_a_message_of_the_wrong_shape_is_not_valid(golden: Refused) -> None:
    assert not is_valid(golden)


def test_the_published_message_has_the_fields_that_the_decoder_reads() -> None:
    pairs = (
        (shapes.SingleReading, telemetry._WireOne),
        (shapes.ReadingBatch, telemetry._WireMany),
        (shapes.ReadingRow, telemetry._WireReading),
    )
    for published, wire in pairs:
        assert set(published.__struct_fields__) == set(wire.__struct_fields__)


@pytest.mark.parametrize("kind", [k for k in codec.EVENTS if k is not StoredEvent], ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_event_that_is_sent_is_valid(kind: type[Event], data: st.DataObject) -> None:
    document = schema.events_schema()
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind.__name__}", "$defs": document["$defs"]})
    ((_, payload),) = codec.encode_events([data.draw(ours.EVENTS[kind])])
    sent = json.loads(payload)
    for event in sent if isinstance(sent, list) else [sent]:
        validator.validate(event)


def test_the_asyncapi_document_has_what_version_3_asks_for() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"].keys() >= {"title", "version"}
    assert all(server.keys() >= {"host", "protocol"} for server in DOCUMENT["servers"].values())
    assert all(operation["action"] in {"send", "receive"} for operation in DOCUMENT["operations"].values())
    # The specification's pattern for keys of channels, operations and components.
    keys = [*DOCUMENT["channels"], *DOCUMENT["operations"]]
    keys += [key for part in DOCUMENT["components"].values() for key in part]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in keys)


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    references = list(references_in(DOCUMENT))
    assert references
    for reference in references:
        assert isinstance(resolve(reference), dict), reference


def test_every_channel_of_the_contract_is_in_the_asyncapi_document() -> None:
    addresses = {re.sub(r"\{\w+\}", "+", channel["address"]) for channel in DOCUMENT["channels"].values()}
    wanted = {DeviceTopic.filter(channel) for channel in Channel} | {ChainTopic.filter(stage) for stage in Stage}
    models = {str(ModelTopic("+", "+", role)) for role in ModelRole}
    assert addresses == wanted | models | {AgentTopic.filter()}


def test_a_channel_describes_exactly_the_parameters_of_its_address() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(channel["parameters"]) == set(re.findall(r"\{(\w+)\}", channel["address"]))


def test_every_event_has_a_channel_and_every_channel_an_operation() -> None:
    carried = {name for channel in DOCUMENT["channels"].values() for name in channel["messages"]}
    assert carried >= {kind.__name__ for kind in codec.EVENTS if kind is not StoredEvent} | {"Watermark", "Telemetry"}
    assert carried == set(DOCUMENT["components"]["messages"])
    operated = {operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()}
    assert operated == {f"#/channels/{key}" for key in DOCUMENT["channels"]}


def test_an_operations_messages_are_those_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_what_is_retained_is_said_so() -> None:
    retained = {key for key, operation in DOCUMENT["operations"].items() if operation["bindings"]["mqtt"]["retain"]}
    assert {"send-stored", "send-model", "send-model-challenger", "send-agent", "receive-status"} <= retained
    assert {"send-state"} <= retained
    assert not {"receive-telemetry", "send-anomaly", "send-ingested", "send-drift"} & retained


def test_every_schema_of_the_asyncapi_document_is_valid_by_its_meta_schema() -> None:
    for payload in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(payload)


def test_bytes_in_an_event_are_said_to_be_base64() -> None:
    payload = schema.events_schema()["$defs"]["ReadingRejectedEvent"]["properties"]["payload"]
    assert payload == {"type": "string", "contentEncoding": "base64"}
    assert msgspec.json.decode(msgspec.json.encode(b"\xff\x00")) == base64.b64encode(b"\xff\x00").decode()


@given(st.dictionaries(PRINTABLE, PLAIN_DOCUMENTS))
def test_our_yaml_is_read_back_by_everybody(document: dict[str, Any]) -> None:
    assert yaml.safe_load(ours_yaml.dump(document)) == document


@pytest.mark.parametrize("text", ["no", "Null", "~", "1.0", "0x1f", "a: b", "- a", "#", "a #b", "", " a", "12:30", "é"])
def test_a_text_that_looks_like_something_else_stays_a_text(text: str) -> None:
    document = {"key": text, text: ["x", text]}
    assert yaml.safe_load(ours_yaml.dump(document)) == document


def is_valid(golden: Golden) -> bool:
    return TELEMETRY.is_valid(json.loads(golden.payload))


def references_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from references_in(item)


def resolve(reference: str) -> object:
    target: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target
