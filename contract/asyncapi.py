"""The contract as an AsyncAPI 3.0 document: every channel of `contract.topics`, who sends what on it, and its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from contract import codec
from contract.events import (
    SCHEMA_VERSION,
    AgentStatus,
    Event,
    ModelPromotedEvent,
    ModelRole,
    StoredEvent,
    Watermark,
)
from contract.names import NAME
from contract.shapes import ReadingBatch, SingleReading
from contract.topics import AgentTopic, ChainTopic, Channel, DeviceTopic, ModelTopic, Stage

_REF = "#/components/schemas/{name}"
_RECEIVE, _SEND = ("receive",), ("send",)
_BETWEEN_AGENTS = ("receive", "send")

# What each device channel is for, and what Ronda does there.
_DEVICE_CHANNELS: dict[Channel, tuple[tuple[str, ...], bool, str]] = {
    Channel.TELEMETRY: (_RECEIVE, False, "What the device measured: one reading or a batch. Kept by it until stored."),
    Channel.STATUS: (_RECEIVE, True, "Is the device there? Replaced by its Last Will."),
    Channel.CONFIG_REPORTED: (_RECEIVE, True, "The configuration that the device runs with."),
    Channel.COMMAND_RESULT: (_RECEIVE, False, "What became of a command."),
    Channel.CONFIG_DESIRED: (_SEND, True, "The configuration that the device should run with."),
    Channel.COMMAND: (_SEND, False, "Something the device should do now."),
    Channel.FIRMWARE: (_SEND, False, "A new firmware for the device."),
    Channel.STORED: (_SEND, True, "The watermark: everything up to it is safe, the device may delete it."),
    Channel.ANOMALY: (_SEND, False, "The device left its normal state, is still outside, or came back; and why."),
    Channel.REJECTED: (_SEND, False, "A reading that was put into quarantine, with the reason and the bytes."),
    Channel.NOTIFICATION: (_SEND, False, "The receipt: who was told through which channel, or why nobody was."),
    Channel.STATE: (_SEND, True, "Off, starting, running, still learning; which sensors are silent; the time left."),
    Channel.DRIFT: (_SEND, False, "The readings no longer look like those that the model learned, channel by channel."),
    Channel.MODEL_REFUSED: (_SEND, False, "A promoted model was not taken into use, and why."),
}
# Existing devices write Online, Offline, true or false; all of them are understood.
_STATUS = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["state"],
            "properties": {"state": {"enum": ["online", "offline"]}, "boot": {"type": "string"}},
        },
    ]
}
_STAGES: dict[Stage, str] = {
    Stage.INGESTED: "Decoded and stamped readings, from acquisition to validation.",
    Stage.VALIDATED: "Readings that can be true, to the store and to the detector.",
    Stage.TRACE: "Which station a traced message passed, and when.",
}
_MODELS = (
    ("model", ModelRole.CHAMPION, "The device's champion model."),
    ("model-challenger", ModelRole.CHALLENGER, "The model that is scored in the champion's shadow, or that none is."),
)
_PARAMETERS = {
    "site": f"The plant. {NAME.pattern}",
    "device": f"The machine's device. {NAME.pattern}",
    "partition": "0 to 63: CRC-32 of 'site/device' modulo 64, so that one device's readings keep their order.",
    "name": "The agent, such as validation.",
    "instance": "Which of its processes.",
}


class _Line(NamedTuple):
    """One channel of the document: its key, its address with parameters, and what travels there."""

    key: str
    address: str
    actions: tuple[str, ...]
    retain: bool
    summary: str
    message: str


def document() -> dict[str, Any]:
    """The whole document, as plain data."""
    lines = list(_lines())
    messages, schemas = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {line.key: _channel(line) for line in lines},
        "operations": {f"{action}-{line.key}": _operation(line, action) for line in lines for action in line.actions},
        "components": {
            "messages": messages,
            "schemas": schemas,
            "parameters": {name: {"description": text} for name, text in _PARAMETERS.items()},
            "securitySchemes": {"user": _security()},
        },
    }


def _info() -> dict[str, Any]:
    return {
        "title": "Ronda",
        "version": f"{SCHEMA_VERSION}.0.0",
        "description": (
            "What devices say to Ronda over MQTT, what its agents tell each other, and what Ronda tells the world. "
            "Actions are Ronda's: it receives telemetry and sends anomalies. All times are UTC epoch milliseconds. "
            "QoS 1 throughout; a message may arrive twice, and its identity tells."
        ),
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _server() -> dict[str, Any]:
    return {
        "host": "localhost:1883",
        "protocol": "mqtt",
        "protocolVersion": "3.1.1",
        "description": "The embedded broker, or Mosquitto with the configuration generated from the same rules.",
        "security": [{"$ref": "#/components/securitySchemes/user"}],
    }


def _security() -> dict[str, Any]:
    return {
        "type": "userPassword",
        "description": (
            "A device's user is 'site/device' and may speak for itself alone; a gateway's is 'gateway/site' and may "
            "speak for the devices of its site. What the rules refuse is acknowledged and dropped."
        ),
    }


def _lines() -> Iterator[_Line]:
    for channel, (actions, retain, summary) in _DEVICE_CHANNELS.items():
        address = str(DeviceTopic("{site}", "{device}", channel))
        yield _Line(channel.replace("/", "-"), address, actions, retain, summary, _message_on(address))
    for stage, summary in _STAGES.items():
        address = ChainTopic.filter(stage).replace("+", "{partition}")
        yield _Line(stage, address, _BETWEEN_AGENTS, False, summary, _message_on(address))
    agent = str(AgentTopic("{name}", "{instance}"))
    yield _Line("agent", agent, _BETWEEN_AGENTS, True, "Which agents are alive.", AgentStatus.__name__)
    for key, role, summary in _MODELS:
        address = str(ModelTopic("{site}", "{device}", role))
        yield _Line(key, address, _BETWEEN_AGENTS, True, summary, ModelPromotedEvent.__name__)


def _message_on(address: str) -> str:
    """The message that travels at this address: an event's, or that of the devices' own channels."""
    pattern = re.sub(r"\{\w+\}", "+", address)
    kind = next((kind for kind in codec.EVENTS if codec.topic_filter(kind) == pattern), None)
    if kind is StoredEvent:
        return Watermark.__name__
    if kind is not None:
        return kind.__name__
    return {DeviceTopic.filter(Channel.TELEMETRY): "Telemetry", DeviceTopic.filter(Channel.STATUS): "Status"}.get(
        pattern, "Document"
    )


def _channel(line: _Line) -> dict[str, Any]:
    return {
        "address": line.address,
        "summary": line.summary,
        "messages": {line.message: {"$ref": f"#/components/messages/{line.message}"}},
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in _named(line.address)},
    }


def _named(address: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", address)


def _operation(line: _Line, action: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{line.key}"},
        "summary": line.summary,
        "messages": [{"$ref": f"#/channels/{line.key}/messages/{line.message}"}],
        "bindings": {"mqtt": {"qos": 1, "retain": line.retain, "bindingVersion": "0.2.0"}},
    }


def _messages() -> tuple[dict[str, Any], dict[str, Any]]:
    """The messages, and the schemas of all that they carry."""
    kinds: list[type[Event | Watermark | AgentStatus]] = [kind for kind in codec.EVENTS if kind is not StoredEvent]
    kinds += [Watermark, AgentStatus]
    refs, schemas = msgspec.json.schema_components([*kinds, SingleReading, ReadingBatch], ref_template=_REF)
    *references, single, batch = refs
    messages = {
        "Telemetry": _message("Telemetry", "One reading, or several.", {"anyOf": [single, batch]}),
        "Status": _message("Status", "online or offline, alone or as the `state` of a JSON object with more.", _STATUS),
        "Document": _message("Document", "A JSON object.", {"type": "object"}),
    }
    for kind, reference in zip(kinds, references, strict=True):
        summary = (kind.__doc__ or "").split("\n")[0]
        messages[kind.__name__] = _message(kind.__name__, summary, _payload(kind, reference))
    return messages, schemas


def _payload(kind: type, reference: dict[str, Any]) -> dict[str, Any]:
    """Batched kinds travel as an array of events, the others alone."""
    batched = {ChainTopic.filter(stage) for stage in Stage}
    if issubclass(kind, Event) and codec.topic_filter(kind) in batched:
        return {"type": "array", "items": reference}
    return reference


def _message(name: str, summary: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "summary": summary, "payload": payload}
