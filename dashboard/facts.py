"""What the API told us, typed: only the fields that a page shows; whatever else an answer holds is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One of a device's sensors."""

    name: str
    unit: str = ""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The model that judges, or judged."""

    name: str = ""
    version: str = ""
    run_id: str = ""
    trained_through_ms: int | None = None
    promoted_at_ms: int | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine does, how far its model can be trusted, and which sensors cannot be believed."""

    state: str = ""
    maturity: str = ""
    regime: int | None = None
    sensors: dict[str, str] = {}


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device and the state it is in: critical, warning, healthy, off, learning or no_data."""

    site: str
    device: str
    origin: str = ""
    state: str = "no_data"
    last_seen_ms: int | None = None
    metrics: list[Metric] | None = None
    model: Model | None = None
    anomaly_id: str | None = None
    machine: Machine | None = None
    drifting: list[str] = []


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's part in an anomaly: share 0 to 1; seen and expected in `unit`."""

    name: str
    unit: str = ""
    share: float = 0.0
    seen: float = 0.0
    expected: float = 0.0
    expected_low: float = 0.0
    expected_high: float = 0.0

    @property
    def where(self) -> str:
        """Which side of its expected range: above, below or within."""
        if self.seen > self.expected_high:
            return "above"
        return "below" if self.seen < self.expected_low else "within"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The readings around the moment of raising."""

    measured_at_ms: list[int] = []
    series: dict[str, list[float | None]] = {}


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Who was told, or why nobody was; `delivery` is delivered, failed or suppressed."""

    decision: str = ""
    channel: str = ""
    delivery: str = ""
    receipt: str = ""
    recipients: list[str] = []
    message_id: str | None = None
    sent_at_ms: int = 0
    suppressed: int = 0


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What it looks like: `by` rule or classifier, `sentence` by language, `source` what they go by."""

    fault: str = ""
    by: str = ""
    candidates: list[str] = []
    sentence: dict[str, str] = {}
    source: str = ""


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm with its evidence, as it was when raised."""

    id: str
    site: str
    device: str
    severity: str
    phase: str = "raised"
    score: float = 0.0
    peak_score: float = 0.0
    since_ms: int = 0
    raised_at_ms: int = 0
    detected_at_ms: int = 0
    cleared_at_ms: int | None = None
    correlation_id: str = ""
    sensors: list[Sensor] = []
    sentence: dict[str, str] = {}
    kind: str = "anomaly"
    question: str = "level"
    cause: Cause | None = None
    model: Model = Model()
    notification: Notification | None = None
    notifications: list[Notification] = []
    window: Window | None = None

    @property
    def active(self) -> bool:
        """Is the device still outside?"""
        return self.phase != "cleared"


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's measured line; times and values have one length, a None is a gap."""

    name: str
    unit: str = ""
    measured_at_ms: list[int] = []
    values: list[float | None] = []


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A traced message passed a station: `did` is a code, `detail` its parameters."""

    station: str
    did: str
    at_ms: float
    readings: int = 0
    detail: dict[str, str | float | int] = {}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The story of one correlation id, as far as it has come."""

    correlation_id: str
    site: str = ""
    device: str = ""
    readings: int = 0
    steps: list[Step] = []
    anomalies: list[Anomaly] = []
    notifications: list[Notification] = []
    rejected: list[dict[str, Any]] = []


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One device's account; None where the device does not count and so nobody can know."""

    site: str = ""
    device: str = ""
    sent: int | None = None
    stored: int = 0
    rejected: int = 0
    pending: int | None = None
    lost: int | None = None


class MailSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that the local mail server received."""

    id: str
    received_at_ms: int = 0
    sender: str = ""
    to: str = ""
    subject: str = ""
    correlation_id: str = ""


class Mail(MailSummary, frozen=True, kw_only=True):
    """A mail with what is in it; `html` has its pictures inside and is guarded for a sandboxed frame, or is empty."""

    text: str = ""
    html: str = ""


def fact(kind: type[T], answer: Mapping[str, Any]) -> T:
    """One object of an answer. Raises: msgspec.ValidationError when the API and the page have grown apart."""
    return msgspec.convert(answer, kind, strict=False)


def facts(kind: type[T], answer: Mapping[str, Any]) -> list[T]:
    """The `items` of an answer."""
    return [fact(kind, item) for item in answer["items"]]
