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


class AlarmKind(enum.StrEnum):
    """What kind of alarm: the machine is not as usual, beyond a limit set for it, a sensor that lies, a slow drift.

    `silent` is about no reading but about none: a device, or a whole site, was not heard for longer than it ever is.
    """

    ANOMALY = "anomaly"
    LIMIT = "limit"
    SENSOR = "sensor"
    TREND = "trend"
    SILENT = "silent"


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which model judged: its registered name and version, the MLflow run and the checksum of its bytes."""

    name: str
    version: str
    run_id: str
    sha256: str


class SensorEvidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sensor's part: its share of the anomaly (0 to 1) and what was seen against what was expected, in `unit`.

    `ratio`: how many times its usual going back and forth it shows, where that was the question.
    """

    name: str
    unit: str
    share: float
    seen: float
    expected: float
    expected_low: float
    expected_high: float
    ratio: float | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The readings around the anomaly: n times and, per sensor shown, n values (None where a sensor was silent)."""

    measured_at_ms: list[int]
    series: dict[str, list[float | None]]


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it looks like: a help beside the evidence, never in its place.

    `fault` is a code, one of `candidates` or the family that they belong to; `by` says who thinks so: `rule` or
    `classifier`. `sentence` by language, en and pt; `source` is what the rule cites, or the classifier's name with its
    version.
    """

    fault: str
    by: str
    candidates: list[str]
    sentence: dict[str, str]
    source: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why Ronda thinks so, frozen when raised. `sensors` by share, largest first; `sentence` by language, en and pt.

    `question` is what was answered with yes: level, jump, roughness, limit, stuck or trend.
    """

    sensors: list[SensorEvidence]
    sentence: dict[str, str]
    window: Window
    question: str = "level"
    cause: Cause | None = None


class AnomalyDetectedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A device left its normal state (raised), is still outside (updated), or came back (cleared).

    `score` 1 is the limit; `since_ms` is the device's time at which it went outside, `measured_at_ms` that of the
    reading that decided this phase, whose identity is (`boot`, `seq`). `new_level`: cleared because it settled at
    another level, which a person should verify. `begun_anew`: cleared because the device is judged anew from here on,
    not because it came back; what is still outside is raised again. `judged_by`: `gateway` where a site's
    gateway judged while the cloud was away, said on the site's own broker alone; else empty.
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
    kind: AlarmKind = AlarmKind.ANOMALY
    new_level: bool = False
    begun_anew: bool = False
    judged_by: str = ""
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


class ModelRole(enum.StrEnum):
    """What a model is there for: the champion's alarms are raised, the challenger's are only counted."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class ModelPromotedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The device has a new champion, or a challenger: which, where its bytes are, and what they must hash to.

    `trained_through_ms`: the last reading it was fitted on; later readings are scored with it. A challenger without an
    `artifact_uri` says that there is none any more.
    """

    model: ModelRef
    artifact_uri: str
    data_hash: str
    trained_through_ms: int
    promoted_at_ms: int
    role: ModelRole = ModelRole.CHAMPION


class ModelRefusedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A promoted model was not taken into use, because of `why`; the one `in_use` goes on.

    They are the same where what is kept of the model is not what was promoted, and our own copy of it goes on.
    """

    model: ModelRef
    in_use: ModelRef | None = None
    why: str
    at_ms: int

    @property
    def id(self) -> str:
        """The same bytes refused for the same reason are the same refusal."""
        return digest_id(self.site, self.device, self.model.version, self.model.sha256, self.why)


class MachineState(enum.StrEnum):
    """What the machine is doing, as its own data tell."""

    LEARNING = "learning"
    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"


class Maturity(enum.StrEnum):
    """How much healthy running the model has seen."""

    LEARNING = "learning"
    YOUNG = "young"
    READY = "ready"


class SensorState(enum.StrEnum):
    """Can the sensor be believed?"""

    OK = "ok"
    MISSING = "missing"
    STUCK = "stuck"


class Remaining(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a drifting metric crosses its limit (in `unit`): the estimate, the earliest, and the latest where known."""

    metric: str
    limit: float
    unit: str
    crosses_at_ms: int
    earliest_ms: int
    latest_ms: int | None = None


class MachineStateEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """How the device's machine is, said when it changes and kept on the broker.

    `regime` is the operating point while running, from 0; `sensors` names only those that are not ok; `measured_at_ms`
    is the reading that it is true for.
    """

    state: MachineState
    maturity: Maturity
    measured_at_ms: int
    at_ms: int
    regime: int | None = None
    sensors: dict[str, SensorState] = {}
    remaining: Remaining | None = None
    model: ModelRef | None = None


class ChannelDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How far one channel's readings are from those that the model learned.

    `psi`: population stability index over tenths; `ks`: the two-sample Kolmogorov-Smirnov distance with its `p_value`.
    """

    name: str
    psi: float
    ks: float
    p_value: float
    drifted: bool


class InputDriftedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The healthy readings of a stretch of time no longer look like those that the model learned."""

    channels: list[ChannelDrift]
    from_ms: int
    through_ms: int
    readings: int
    model: ModelRef

    @property
    def id(self) -> str:
        """One per model and stretch of time."""
        return digest_id(self.site, self.device, self.model.sha256, self.from_ms, self.through_ms)


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
