"""What the API needs from the others, in its own words; the composition root hands it in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from broker.bus import Bus
from broker.fullness import MAX_MESSAGES
from cloud.api.auth import AuthSettings
from cloud.notifications.mailbox import Mail, Summary
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.devices import DeviceRecord as Device
from cloud.storage.model_versions import ModelVersion
from cloud.storage.promotions import Promotion
from cloud.storage.quarantine import CauseOfRefusal, Place, Rejection, Totals, Wanted
from cloud.storage.quarantine_archive import Archived
from cloud.storage.reading_blocks import LastSeen, Ledger, ReadingBlock, ReadingRow
from cloud.storage.resolution import Drawn
from cloud.storage.verdicts import Precision, Verdict
from contract.events import HopEvent, InputDriftedEvent, MachineStateEvent, ModelRefusedEvent, NotificationSentEvent
from contract.plausibility import Metric
from detection.limit import Limit

Address = tuple[str, str]
# (user, password) → once the broker lets this device connect; a broker may take a moment to read its password file.
Admitted = Callable[[str, str], Awaitable[None]]
# A reading within its device: boot and number.
Key = tuple[str, int]


class User(Protocol):
    """A person: what they may do, and for which devices (`site/device`, `site/*`, `*`) they may send."""

    @property
    def username(self) -> str: ...
    @property
    def scopes(self) -> Sequence[str]: ...
    @property
    def devices(self) -> Sequence[str]: ...


class Users(Protocol):
    """Who may log in."""

    async def authenticate(self, username: str, password: str) -> User | None:
        """The user, if this is the password; takes equally long when there is no such user."""


class DeviceCredentials(Protocol):
    """The broker's password file (`broker.credentials.Credentials`)."""

    def new_password(self) -> str:
        """A fresh secret."""

    def set(self, user: str, password: str) -> None:
        """Let the device connect."""

    def users(self) -> Sequence[str]:
        """Everybody who may connect."""

    def remove(self, user: str) -> None:
        """Let the device connect no more."""

    def verify(self, user: str, password: str) -> bool:
        """Is this the device's password?"""


class Devices(Protocol):
    """The registered machines (`cloud.storage.devices.DeviceStore`)."""

    async def get(self, site: str, device: str) -> Device | None:
        """One, in service or revoked."""

    async def all(self) -> Sequence[Device]:
        """All, revoked ones included."""

    async def ensure(
        self,
        site: str,
        device: str,
        origin: str,
        *,
        now_ms: int,
        metrics: Sequence[Metric] | None = None,
        learn_rows: int | None = None,
    ) -> Device:
        """Register it unless it is."""

    async def revoke(self, site: str, device: str, *, now_ms: int) -> bool:
        """Take it out of service; False when it is not in service."""

    async def reinstate(self, site: str, device: str) -> bool:
        """Let a revoked one come back."""

    async def change_metrics(self, site: str, device: str, changes: Sequence[Metric]) -> Sequence[Metric] | None:
        """Put these in the place of those of the same names, or behind them; None when it is not registered."""


class Readings(Protocol):
    """What was measured (`cloud.storage.readings.ReadingStore`)."""

    async def readings(
        self, site: str, device: str, *, from_ms: int | None = None, to_ms: int | None = None, limit: int
    ) -> ReadingBlock:
        """The newest `limit` of a span, oldest first."""

    async def drawn(
        self, site: str, device: str, *, from_ms: int | None, to_ms: int | None, points: int, most: int
    ) -> Drawn:
        """What a chart of so many points needs of a span, from at most `most` rows."""

    async def find(self, site: str, device: str, boot: str, seq: int) -> ReadingRow | None:
        """The one with this identity."""

    async def by_correlation(self, correlation_id: str) -> Sequence[ReadingRow]:
        """Those that carry this id."""

    async def last_seen(self) -> Mapping[Address, LastSeen]:
        """Each device's newest."""

    async def ledger(self) -> Sequence[Ledger]:
        """What became of everybody's readings."""


class Anomalies(Protocol):
    """What was found (`cloud.storage.anomalies.AnomalyStore`)."""

    async def get(self, anomaly_id: str) -> AnomalyRecord | None:
        """One."""

    async def by_correlation(self, correlation_id: str) -> Sequence[AnomalyRecord]:
        """Those that this id led to."""


class Notifications(Protocol):
    """Who was told (`cloud.storage.notifications.NotificationStore`)."""

    async def by_correlation(self, correlation_id: str) -> Sequence[NotificationSentEvent]:
        """Receipts that carry this id, oldest first."""


class Hops(Protocol):
    """The measured way of traced messages (`cloud.storage.hops.HopStore`)."""

    async def by_correlation(self, correlation_id: str) -> Sequence[HopEvent]:
        """In the order of their times."""


class Quarantine(Protocol):
    """What was refused (`cloud.storage.quarantine.Quarantine`)."""

    async def by_correlation(self, correlation_id: str) -> Sequence[Rejection]:
        """Of a message with this id."""

    async def page(self, wanted: Wanted, *, limit: int, behind: Place | None = None) -> Sequence[Rejection]:
        """The newest of those wanted, payloads cut short."""

    async def oldest(self, wanted: Wanted, *, limit: int, after: Place | None = None) -> Sequence[Rejection]:
        """The oldest of those wanted, whole."""

    async def get(self, rejection_id: str) -> Rejection | None:
        """One, whole."""

    async def causes(self, *, limit: int) -> Sequence[CauseOfRefusal]:
        """Why most of what waits was refused."""

    async def totals(self) -> Totals:
        """How full it is."""

    async def replayed(self, ids: Sequence[str], *, at_ms: int) -> None:
        """These are about to go through the door again."""

    async def refused_again(self, rejection_id: str, *, stage: str, reason: str, detail: str) -> None:
        """It stays, with the new reason."""

    async def settle(self, rejection: Rejection, *, at_ms: int) -> bool:
        """All of it is accounted for elsewhere."""

    async def archive(self, wanted: Wanted, *, now_ms: int) -> Archived:
        """Move the oldest of those wanted, as many as one archive takes."""

    async def unarchive(self, name: str) -> Sequence[str] | None:
        """Bring back what an archive took: the ids, oldest first; None where there is none. Raises: ArchiveError."""


class Promotions(Protocol):
    """Which model judges which device (`cloud.storage.promotions.PromotionStore`)."""

    async def all_current(self) -> Sequence[Promotion]:
        """The champions."""


class DeviceLimits(Protocol):
    """The fixed limits of machines (`cloud.storage.limits.LimitStore`)."""

    async def of(self, site: str, device: str) -> Sequence[Limit]:
        """One machine's, by metric, warnings first."""

    async def replace(self, site: str, device: str, limits: Sequence[Limit]) -> None:
        """These and no others from now on."""


class Verdicts(Protocol):
    """What people say of alarms (`cloud.storage.verdicts.VerdictStore`)."""

    async def give(self, verdict: Verdict) -> None:
        """Keep it, over an earlier one about the same alarm."""

    async def take_back(self, anomaly_id: str) -> bool:
        """Was there one?"""

    async def of(self, anomaly_ids: Sequence[str]) -> Mapping[str, Verdict]:
        """By the alarms' ids."""

    async def precision(
        self, site: str | None = None, device: str | None = None
    ) -> Mapping[tuple[str, str, str], Precision]:
        """Per site, device and version."""


class ModelVersions(Protocol):
    """Every model that was fitted (`cloud.storage.model_versions.ModelVersionStore`)."""

    async def history(self, site: str, device: str) -> Sequence[ModelVersion]:
        """Of one machine, newest first."""

    async def in_question(self, site: str | None = None) -> Sequence[ModelVersion]:
        """Those in force and those that wait, by machine."""


class Championship(Protocol):
    """What moves models in and out of force (`cloud.models.championship.Championship`)."""

    async def promote(self, site: str, device: str, version: str, *, force: bool = False) -> Promotion:
        """Bring this version into force. Raises: UnknownModelError, RefusedModelError."""

    async def rollback(self, site: str, device: str, to: str | None = None) -> Promotion:
        """Go back. Raises: UnknownModelError, RefusedModelError."""


class AnomalyFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which anomalies: None means any. `phase` also takes `active`; times are those of raising; `before`: a serial."""

    site: str | None = None
    device: str | None = None
    phase: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    before: int | None = None


class Lookups(Protocol):
    """Questions about many things at once (`cloud.api.lookups.StoreLookups`)."""

    async def alive(self) -> None:
        """Raises: TransientError when the database is away."""

    async def stored(
        self, site: str, device: str, keys: Sequence[Key]
    ) -> Mapping[Key, tuple[int, Mapping[str, float]]]:
        """(measured_at_ms, values) of those readings that are stored."""

    async def anomalies(self, wanted: AnomalyFilter, limit: int) -> Sequence[AnomalyRecord]:
        """Newest first."""

    async def models_in_use(self) -> Mapping[Address, str]:
        """The version of the model that the detection agent judges each device with."""

    async def newest_anomalies(self) -> Mapping[Address, AnomalyRecord]:
        """Each device's last one."""

    async def machine_states(self) -> Mapping[Address, MachineStateEvent]:
        """How each machine is, of which something was said."""

    async def model_refusals(
        self, site: str | None = None, device: str | None = None
    ) -> Mapping[tuple[str, str, str], ModelRefusedEvent]:
        """Per site, device and version: the last time that the model was not put to use."""

    async def drifting(self) -> Mapping[Address, Sequence[str]]:
        """The channels of each machine that drifted in the last hour that was compared."""

    async def drift(self, site: str, device: str, limit: int) -> Sequence[InputDriftedEvent]:
        """The last hours of one machine whose inputs were compared, newest first."""

    async def notifications_of(self, anomaly_ids: Sequence[str]) -> Mapping[str, Sequence[NotificationSentEvent]]:
        """The receipts of each anomaly, oldest first."""

    async def notifications_since(self, sent_at_ms: int, limit: int) -> Sequence[NotificationSentEvent]:
        """The newest `limit` receipts from then on, oldest first."""


class EndedTokens(Protocol):
    """Tokens whose owner logged out (`cloud.storage.ended_tokens.EndedTokenStore`)."""

    async def add(self, token_id: str, *, expires_at_ms: int, now_ms: int) -> None:
        """Refuse it from now on."""

    async def since(self, ended_at_ms: int, *, now_ms: int) -> Mapping[str, int]:
        """Those ended since then and not over yet: id → when it would end anyway (epoch ms)."""

    async def forget(self, *, now_ms: int) -> int:
        """Forget those that are over."""


class Mailbox(Protocol):
    """The local mail server's mails (`cloud.notifications.mailbox.Mailbox`)."""

    def list(self, limit: int) -> Sequence[Summary]:
        """The newest, newest first."""

    def read(self, mail_id: str) -> Mail:
        """One. Raises: UnknownMail."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything the API works with, opened by whoever makes it.

    `agents`: the names that must be online for readiness. `broker_up`: is the bus connected now? `open_paths`: further
    paths that need no caller, such as the login page's own assets. `cooldown_ms`: the notification cooldown per device.
    `mailbox` is None where mails go to somebody else's server. `metrics_directory`: where several workers share counts.
    `rate_limit_per_minute`: requests of one caller; 0 for no limit. `redis_url`: where several processes count and
    remember together; without it each does for itself.
    `max_queued`: messages that Mosquitto keeps for one absent subscriber.
    """

    auth: AuthSettings
    bus: Bus
    users: Users
    ended_tokens: EndedTokens
    credentials: DeviceCredentials
    admitted: Admitted
    devices: Devices
    readings: Readings
    anomalies: Anomalies
    notifications: Notifications
    hops: Hops
    quarantine: Quarantine
    promotions: Promotions
    limits: DeviceLimits
    verdicts: Verdicts
    model_versions: ModelVersions
    championship: Championship
    lookups: Lookups
    mailbox: Mailbox | None
    agents: Sequence[str]
    broker_up: Callable[[], bool]
    asyncapi: Path
    cooldown_ms: int
    clock_ms: Callable[[], float]
    new_id: Callable[[], str]
    open_paths: Sequence[str] = ()
    metrics_directory: Path | None = None
    rate_limit_per_minute: int = 0
    redis_url: str = ""
    max_queued: int = MAX_MESSAGES
