"""What the doctor looks at. None means: not to be seen from here, which is no finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cloud.storage.quarantine import CauseOfRefusal, Totals
from contract.events import AgentStatus


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """How often a part of `ronda up` died lately, and when last."""

    part: str
    times: int
    last_ms: int


class Processes(msgspec.Struct, frozen=True, kw_only=True):
    """`alive`: is `ronda up` itself there? `missing`: parts that it should have and that are not there now."""

    alive: bool
    missing: Sequence[str] = ()
    deaths: Sequence[Death] = ()


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Of the data folder, in bytes."""

    folder: str
    free: int
    total: int


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody answers: `error` in words, empty when all is well."""

    where: str
    error: str = ""


class BrokerCount(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded broker's own last word: what waits for each service, and what it dropped or put aside."""

    at_ms: int
    waiting_for: Mapping[str, int]
    dropped: Mapping[str, int]


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """`statuses`: what the agents say of themselves; `certificate_ends_ms`: where it speaks TLS."""

    door: Door
    certificate_ends_ms: int | None = None
    statuses: Sequence[AgentStatus] = ()
    count: BrokerCount | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that was heard behind the validation: how long until the store had it; None: not while we waited."""

    reading: str
    waited_ms: float
    stored: bool


class Unpublished(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided and did not reach the broker, of one kind."""

    kind: str
    messages: int
    oldest_ms: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A boot whose watermark waits: `missing` readings from `first` on, while later ones came since `since_ms`."""

    site: str
    device: str
    boot: str
    first: int
    missing: int
    since_ms: int | None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A live device: its newest reading by its own clock and by ours; None: it never sent one. `late`: back-fill."""

    site: str
    device: str
    created_at_ms: int
    measured_at_ms: int | None
    received_at_ms: int | None
    late: bool = False


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A promoted model that is not in use."""

    site: str
    device: str
    version: str
    why: str
    at_ms: int


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries on a channel failed since the last that went well, since when, and the other side's word."""

    channel: str
    failed: int
    since_ms: int
    receipt: str


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """The database and what stands in it. `ahead_ms`: its clock against ours."""

    door: Door
    version: str | None = None
    wanted: str = ""
    missing_indexes: Sequence[str] = ()
    ahead_ms: int = 0
    unpublished: Sequence[Unpublished] = ()
    gaps: Sequence[Gap] = ()
    seen: Sequence[Seen] = ()
    totals: Totals | None = None
    causes: Sequence[CauseOfRefusal] = ()
    refusals: Sequence[Refusal] = ()
    mails: Sequence[Mail] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was seen at `now_ms`. `agents`: those that are to run. `probe` None: nobody spoke just then."""

    now_ms: int
    agents: Sequence[str]
    processes: Processes | None = None
    disk: Disk | None = None
    store: Store
    broker: Broker
    api: Door
    registry: Door
    mail: Door | None = None
    probe: Probe | None = None
    most_quarantined: int = 0
