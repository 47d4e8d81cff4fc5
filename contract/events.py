"""What the agents tell each other and the world: frozen, typed, with deterministic ids.

All times are UTC epoch milliseconds: `measured_at_ms` by the device's clock, every other by ours.
"""

from __future__ import annotations

import enum

import msgspec

from contract.errors import Reason
from contract.identity import digest_id, partition_of, reading_id

SCHEMA_VERSION = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to one device."""

    schema_version: int = SCHEMA_VERSION
    site: str
    device: str

    @property
    def partition(self) -> int:
        """The chain partition of the device, 0 to 63."""
        return partition_of(self.site, self.device)


class Readings(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A columnar block of one device's readings, all of one boot and with the same metrics; a single one has one row.

    Shapes: `seq` and `measured_at_ms` have n entries; `values` has one column of n finite numbers per entry of
    `metrics`. `oldest` is the lowest seq of this boot that the sender still holds.
    """

    boot: str
    received_at_ms: int
    metrics: list[str]
    seq: list[int]
    measured_at_ms: list[int]
    values: list[list[float]]
    replayed: bool = False
    traced: bool = False
    request_id: str | None = None
    oldest: int | None = None

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def correlation_id(self) -> str:
        """The id that the sender gave to its whole message, else that of the block's last reading."""
        return self.correlation_id_of(len(self.seq) - 1)

    def correlation_id_of(self, row: int) -> str:
        """The id that follows one reading to the e-mail."""
        return self.request_id or reading_id(self.site, self.device, self.boot, self.seq[row])


class SensorReadingIngestedEvent(Readings, frozen=True, kw_only=True, omit_defaults=True):
    """Readings that were decoded and stamped at the door."""


class ValidatedDataEvent(Readings, frozen=True, kw_only=True, omit_defaults=True):
    """Readings that can be true: what is stored and judged."""


class ReadingRejectedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A reading, or a whole message, that was put into quarantine, with the reason and the original bytes.

    `boot` and `seq` are there when the refused reading could be told apart; the watermark then passes it.
    """

    stage: str
    reason: Reason
    detail: str
    topic: str
    payload: bytes
    received_at_ms: int
    boot: str | None = None
    seq: int | None = None
    correlation_id: str | None = None
    traced: bool = False

    @property
    def id(self) -> str:
        """The same refusal of the same bytes is the same event."""
        return digest_id(self.site, self.device, self.boot, self.seq, self.reason, self.topic, self.payload.hex())


class Phase(enum.StrEnum):
    """Where an anomaly is in its life."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


class Severity(enum.StrEnum):
    """How far outside: warning beyond the limit, critical beyond twice the limit."""

    WARNING = "warning"
    CRITICAL = "critical"


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which model judged: its registered name and version, the MLflow run and the checksum of its bytes."""

    name: str
    version: str
    run_id: str
    sha256: str


class SensorEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's part: its share of the anomaly (0 to 1) and what was seen against what was expected, in `unit`."""

    name: str
    unit: str
    share: float
    seen: float
    expected: float
    expected_low: float
    expected_high: float


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The readings around the anomaly: n times and, per sensor shown, n values (None where a sensor was silent)."""

    measured_at_ms: list[int]
    series: dict[str, list[float | None]]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why Ronda thinks so, frozen when raised. `sensors` by share, largest first; `sentence` by language, en and pt."""

    sensors: list[SensorEvidence]
    sentence: dict[str, str]
    window: Window


class AnomalyDetectedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A device left its normal state (raised), is still outside (updated), or came back (cleared).

    `score` 1 is the limit; `since_ms` is the device's time at which it went outside, `measured_at_ms` that of the
    reading that decided this phase, whose identity is (`boot`, `seq`). `new_level`: cleared because it settled at
    another level, which a person should verify.
    """

    anomaly_id: str
    phase: Phase
    severity: Severity
    score: float
    peak_score: float
    since_ms: int
    measured_at_ms: int
    detected_at_ms: int
    boot: str
    seq: int
    correlation_id: str
    model: ModelRef
    evidence: Evidence
    new_level: bool = False
    replayed: bool = False
    traced: bool = False

    @property
    def id(self) -> str:
        """One per anomaly, phase and deciding reading."""
        return digest_id(self.anomaly_id, self.phase, self.boot, self.seq)


class Delivery(enum.StrEnum):
    """What became of a notification."""

    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class NotificationSentEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The receipt: who was told through which channel and why, or why not.

    `decision` is the named reason of the decision (`first`, `worse`, `cooldown`, …); `receipt` is the other side's own
    word, such as an SMTP server's 250 line; `suppressed` counts the repeats held back since the last one sent.
    """

    anomaly_id: str
    decision: str
    channel: str
    delivery: Delivery
    receipt: str
    sent_at_ms: int
    correlation_id: str
    recipients: list[str] = []
    message_id: str | None = None
    suppressed: int = 0
    traced: bool = False

    @property
    def id(self) -> str:
        """One per anomaly, channel, decision and deciding reading."""
        return digest_id(self.anomaly_id, self.channel, self.decision, self.correlation_id)


class HopEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A traced message passed a station: when, how many readings, and what was done, as a code with parameters."""

    correlation_id: str
    station: str
    at_ms: float
    readings: int
    did: str
    detail: dict[str, str | float | int] = {}

    @property
    def id(self) -> str:
        """One per message, station, deed and time."""
        return digest_id(self.correlation_id, self.station, self.did, str(self.at_ms))


class ModelPromotedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The device has a new champion: which, where its bytes are, and what they must hash to.

    `trained_through_ms`: the last reading it was fitted on; later readings are scored with it.
    """

    model: ModelRef
    artifact_uri: str
    data_hash: str
    trained_through_ms: int
    promoted_at_ms: int


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """On `stored`: everything of this boot up to and with `through` is stored or accounted for (-1: nothing yet)."""

    boot: str
    through: int


class StoredEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The store's word to a device, on `stored` (retained) as a bare `Watermark`: delete up to `through`."""

    boot: str
    through: int


class AgentState(enum.StrEnum):
    """Is the agent there?"""

    ONLINE = "online"
    OFFLINE = "offline"


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself: retained, and replaced by its Last Will."""

    agent: str
    instance: str
    state: AgentState
    since_ms: int
    partitions: str = "0-63"
