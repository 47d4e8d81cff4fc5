"""The tables. Times are UTC epoch milliseconds; a device is named by `site` and `device`, without a surrogate key.

No foreign keys: a reading is never refused because something beside it is missing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Identity, Index, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from cloud.storage.base import Base, FittedModel
from cloud.storage.model_tables import (
    Backtest,
    Classifier,
    DeviceLimit,
    InputDrift,
    MachineState,
    ModelRefusal,
    ModelVersion,
    ShadowScore,
    Verdict,
)
from cloud.storage.rollup_tables import HourOfReadings, MinuteOfReadings, Retired, RetiredReadings, RollUpDue

__all__ = [
    "Anomaly",
    "Backtest",
    "Base",
    "Boot",
    "Classifier",
    "DetectorState",
    "Device",
    "DeviceLimit",
    "EndedToken",
    "Hop",
    "HourOfReadings",
    "InputDrift",
    "MachineState",
    "MinuteOfReadings",
    "ModelRefusal",
    "ModelVersion",
    "Notification",
    "Outbox",
    "Promotion",
    "QuarantineArchive",
    "Reading",
    "Refused",
    "Rejected",
    "Retired",
    "RetiredReadings",
    "RollUpDue",
    "ShadowScore",
    "User",
    "Verdict",
]


class Device(Base):
    """A machine that speaks: where it comes from and what it measures (JSON of Metric, only ever appended)."""

    __tablename__ = "devices"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str]
    metrics: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    learn_rows: Mapped[int | None]
    created_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]


class Reading(Base):
    """One device at one instant. `values` follow the order of its metrics; NULL, or too short: not measured."""

    __tablename__ = "readings"
    __table_args__ = (
        # By boot first: 64 random bits, which alone find the reading whatever the planner knows of the rest. The time
        # is in the key because a table partitioned by time must have it there; `boots` keeps the identity unique.
        PrimaryKeyConstraint("boot", "seq", "site", "device", "measured_at_ms"),
        Index("readings_site_device_measured_at_ms", "site", "device", "measured_at_ms"),
        # Sparse: only what an HTTP client sent with an id of its own, and traced messages.
        Index("readings_request_id", "request_id", postgresql_where=text("request_id IS NOT NULL")),
    )

    site: Mapped[str]
    device: Mapped[str]
    boot: Mapped[str]
    seq: Mapped[int]
    measured_at_ms: Mapped[int]
    received_at_ms: Mapped[int]
    values: Mapped[list[float | None]]
    replayed: Mapped[bool]
    request_id: Mapped[str | None]


class Boot(Base):
    """What became of the readings of one boot of one device. The row's lock lets one Historian at a time add to it.

    `accounted`: the `seq` that are stored, rejected or lost; empty for devices that do not count. The counts are of
    distinct readings: one that was both rejected and stored is stored. `lost` = accounted − stored − rejected.
    `due`: the minutes (since 1970) that got readings since somebody took them to add them up.
    """

    __tablename__ = "boots"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    accounted: Mapped[Any] = mapped_column(INT8MULTIRANGE, nullable=False, server_default=text("'{}'"))
    stored: Mapped[int] = mapped_column(server_default=text("0"))
    rejected: Mapped[int] = mapped_column(server_default=text("0"))
    lost: Mapped[int] = mapped_column(server_default=text("0"))
    first_seen_ms: Mapped[int]
    due: Mapped[Any] = mapped_column(INT8MULTIRANGE, nullable=False, server_default=text("'{}'"))


class Refused(Base):
    """A numbered reading that counts as refused: neither its quarantine being archived nor a repeat changes that.

    Gone from here once it is stored after all, and then counted as stored.
    """

    __tablename__ = "refused"
    __table_args__ = (PrimaryKeyConstraint("boot", "seq", "site", "device"),)

    site: Mapped[str]
    device: Mapped[str]
    boot: Mapped[str]
    seq: Mapped[int]


class Rejected(Base):
    """The quarantine: what was refused, why, and its bytes.

    `settled_at_ms`: since then all of it is accounted for elsewhere, stored or refused anew as an entry of its own.
    """

    __tablename__ = "rejected"
    __table_args__ = (
        Index(None, "boot", "seq"),
        Index(None, "correlation_id"),
        Index(None, "received_at_ms"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    boot: Mapped[str | None]
    seq: Mapped[int | None]
    stage: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str]
    topic: Mapped[str]
    payload: Mapped[bytes]
    received_at_ms: Mapped[int]
    correlation_id: Mapped[str | None]
    replayed_at_ms: Mapped[int | None]
    settled_at_ms: Mapped[int | None]


class QuarantineArchive(Base):
    """Entries that made room for newer ones: JSON lines, gzip'd, in a file of this name or here where there is none."""

    __tablename__ = "quarantine_archives"

    name: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int]
    first_ms: Mapped[int]
    last_ms: Mapped[int]
    archived_at_ms: Mapped[int]
    content: Mapped[bytes | None]


class Anomaly(Base):
    """One anomaly through its life: `event` as raised, with its evidence frozen; `latest` as it stands."""

    __tablename__ = "anomalies"
    __table_args__ = (Index(None, "serial", unique=True), Index(None, "site", "device"), Index(None, "correlation_id"))

    anomaly_id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    phase: Mapped[str]
    severity: Mapped[str]
    since_ms: Mapped[int]
    raised_at_ms: Mapped[int]
    cleared_at_ms: Mapped[int | None]
    detected_at_ms: Mapped[int]
    correlation_id: Mapped[str]
    score: Mapped[float]
    peak_score: Mapped[float]
    event: Mapped[dict[str, Any]]
    latest: Mapped[dict[str, Any]]
    # The order in which they became known, for paging and for a stream that must not miss one.
    serial: Mapped[int] = mapped_column(Identity())


class Outbox(Base):
    """What was decided in a transaction and is still to be published (`published_at_ms` is NULL), or was."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_unpublished", "serial", postgresql_where=text("published_at_ms IS NULL")),)

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    topic: Mapped[str]
    payload: Mapped[bytes]
    created_at_ms: Mapped[int]
    published_at_ms: Mapped[int | None]
    # The order in which they are published: that of their decision.
    serial: Mapped[int] = mapped_column(Identity())


class DetectorState(Base):
    """Where the detector of one device stands: its state and the reading up to which it has scored."""

    __tablename__ = "detector_states"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    model_version: Mapped[str]
    boot: Mapped[str]
    seq: Mapped[int]
    measured_at_ms: Mapped[int]
    state: Mapped[bytes]
    instance: Mapped[str]
    updated_at_ms: Mapped[int]
    # How the readings are distributed since the model learned, in the watch's own bytes.
    drift: Mapped[bytes | None]


class Notification(Base):
    """Who was told of which anomaly and why, or why not, with the other side's receipt."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index(None, "site", "device", "sent_at_ms"),
        Index(None, "anomaly_id"),
        Index(None, "correlation_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    anomaly_id: Mapped[str]
    # The anomaly event that was decided on.
    event_id: Mapped[str]
    site: Mapped[str]
    device: Mapped[str]
    decision: Mapped[str]
    channel: Mapped[str]
    delivery: Mapped[str]
    receipt: Mapped[str]
    recipients: Mapped[list[str]]
    message_id: Mapped[str | None]
    suppressed: Mapped[int]
    correlation_id: Mapped[str]
    sent_at_ms: Mapped[int]
    # Of the anomaly as it was decided on: the cooldown goes by the device's time, and getting worse ends it.
    severity: Mapped[str]
    measured_at_ms: Mapped[int]
    event: Mapped[dict[str, Any]]


class Hop(Base):
    """A traced message passed a station."""

    __tablename__ = "hops"
    __table_args__ = (Index(None, "correlation_id", "at_ms"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    correlation_id: Mapped[str]
    site: Mapped[str]
    device: Mapped[str]
    station: Mapped[str]
    did: Mapped[str]
    at_ms: Mapped[float]
    readings: Mapped[int]
    detail: Mapped[dict[str, Any]]


class Promotion(FittedModel, Base):
    """A model became the champion of a device; the newest one is in force.

    `mirrored`: the registry's own alias says the same. Where it does not yet, as after a roll-back while the registry
    was away, the store is right and the alias is moved later.
    """

    __tablename__ = "promotions"

    promoted_at_ms: Mapped[int]
    mirrored: Mapped[bool] = mapped_column(server_default=text("true"))


class User(Base):
    """A person or machine that may log in: what for (`scopes`) and for which devices (`site/device`, `site/*`, `*`)."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(primary_key=True)
    password_hash: Mapped[str]
    scopes: Mapped[list[str]]
    devices: Mapped[list[str]]
    created_at_ms: Mapped[int]


class EndedToken(Base):
    """A token whose owner logged out before its end; of no interest after that."""

    __tablename__ = "ended_tokens"

    token_id: Mapped[str] = mapped_column(primary_key=True)
    ended_at_ms: Mapped[int] = mapped_column(index=True)
    expires_at_ms: Mapped[int]
