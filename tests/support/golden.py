"""The golden messages: what every party must accept, and what every party must refuse with which words.

The decoder's, the emulator's and the bridge's tests all read these files, so that no second opinion can grow.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec

from contract.errors import Reason
from contract.plausibility import Metric
from contract.telemetry import Reading
from contract.topics import Channel, DeviceTopic

FOLDER = Path(__file__).parent.parent / "contract" / "golden"


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """One message: its topic and its bytes as sent. `what` says in a line what it shows."""

    name: str
    what: str
    topic: str
    payload: bytes

    def __str__(self) -> str:
        return self.name

    @property
    def site(self) -> str:
        """The site in the topic, as spelled there."""
        return self.topic.split("/")[2]

    @property
    def device(self) -> str:
        """The device in the topic, as spelled there."""
        return self.topic.split("/")[3]

    @property
    def http_body(self) -> bytes | None:
        """The same as a body for the HTTP door, `site` and `device` put first; None for what is no JSON object."""
        brace, rest = self.payload[:1], self.payload[1:]
        if brace != b"{":
            return None
        address = msgspec.json.encode({"site": self.site, "device": self.device})[:-1]
        return address + (b"" if rest.lstrip().startswith(b"}") else b",") + rest


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of a batch that is refused while its neighbours pass."""

    reason: Reason
    refusal: str
    boot: str | None = None
    seq: int | None = None


class Accepted(Golden, frozen=True, kw_only=True):
    """A message that decodes to `readings`; of a batch, `refused` are those that do not."""

    readings: list[Reading]
    refused: list[RefusedRow] = []
    replayed: bool = False
    traced: bool = False
    correlation_id: str | None = None
    oldest: int | None = None


class Refused(Golden, frozen=True, kw_only=True):
    """A message that nobody may use, why, and the exact words.

    `by` is who notices: `topic` (its address), `decoder` (its bytes) or `plausibility` (it cannot be true at `now_ms`
    for a device with these `metrics`; None when it has not registered any). `boot` and `seq` are the number that could
    be told, so that the watermark can pass it. `schema` says whether the JSON Schema can express the rule.
    """

    by: str
    reason: Reason
    refusal: str
    boot: str | None = None
    seq: int | None = None
    now_ms: int = 1_763_800_001_000
    metrics: list[Metric] | None = None
    schema: bool = False


def accepted() -> list[Accepted]:
    """Every message that must be accepted, by file name."""
    return [_accepted(path) for path in sorted((FOLDER / "accepted").glob("*.json"))]


def refused(*by: str) -> list[Refused]:
    """Every message that must be refused, by file name; only those that `by` notices, when given."""
    every = [_refused(path) for path in sorted((FOLDER / "refused").glob("*.json"))]
    return [golden for golden in every if not by or golden.by in by]


def _accepted(path: Path) -> Accepted:
    document, head = _read(path)
    expect = document.pop("expect")
    site, device = head["topic"].split("/")[2:4]
    if made := expect.pop("readings_repeated", None):
        expect["readings"] = [made["reading"] | {"seq": seq} for seq in range(made["times"])]
    rows = [{"site": site, "device": device} | row for row in expect.pop("readings")]
    return msgspec.convert(document | head | expect | {"readings": rows}, Accepted)


def _refused(path: Path) -> Refused:
    document, head = _read(path)
    return msgspec.convert(document | head, Refused)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document, and what every golden message has, with the bytes unpacked."""
    document = msgspec.json.decode(path.read_bytes())
    site, device = document.pop("site", "plant-1"), document.pop("device", "pump-07")
    topic = document.pop("topic", str(DeviceTopic(site, device, Channel.TELEMETRY)))
    return document, {"name": path.stem, "topic": topic, "payload": base64.b64encode(_payload(document)).decode()}


def _payload(document: dict[str, Any]) -> bytes:
    """The raw text of `payload`, the bytes of `payload_base64`, or the long ones that `payload_repeated` describes."""
    if "payload" in document:
        return str(document.pop("payload")).encode()
    if "payload_base64" in document:
        return base64.b64decode(document.pop("payload_base64"))
    made = document.pop("payload_repeated")
    middle = made.get("between", "").join(made["repeat"].replace("%d", str(n)) for n in range(made["times"]))
    return f"{made.get('before', '')}{middle}{made.get('after', '')}".encode()
