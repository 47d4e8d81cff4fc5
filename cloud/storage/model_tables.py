"""The tables of what is known about models and machines: versions, verdicts of people, trials, states and limits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from cloud.storage.base import Base, FittedModel


class Verdict(Base):
    """What a person says of an alarm: `true`, `false` or `planned` work; `model_version` is whose alarm it was."""

    __tablename__ = "verdicts"
    __table_args__ = (Index(None, "site", "device"),)

    anomaly_id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    verdict: Mapped[str]
    cause: Mapped[str | None]
    comment: Mapped[str | None]
    given_by: Mapped[str]
    given_at_ms: Mapped[int]
    model_version: Mapped[str]


class ModelVersion(FittedModel, Base):
    """A model that was fitted, whatever became of it (`candidate`, `champion`, `retired` or `refused`).

    `exceedance`: the share of healthy readings beyond the limit, measured without labels; NULL: too few readings.
    `excluded`: the periods that the fit left out (`from_ms`, `through_ms`, `why`). `format`: that of its bytes, which
    a later program may not read any more.
    """

    __tablename__ = "model_versions"

    created_at_ms: Mapped[int]
    exceedance: Mapped[float | None]
    factor: Mapped[float | None]
    code_version: Mapped[str]
    status: Mapped[str]
    excluded: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    format: Mapped[int] = mapped_column(server_default=text("1"))


class Backtest(Base):
    """A version against another one over stored readings: which alarms appear, vanish or stay, and what follows."""

    __tablename__ = "backtests"
    __table_args__ = (Index(None, "site", "device", "version"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    version: Mapped[str]
    # The champion's version; NULL: the device had none.
    against: Mapped[str | None]
    from_ms: Mapped[int]
    through_ms: Mapped[int]
    readings: Mapped[int]
    appeared: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    vanished: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    kept: Mapped[int]
    decision: Mapped[str]
    reason: Mapped[str]
    at_ms: Mapped[int]


class Classifier(Base):
    """What names the faults of a site's machines, learned from alarms that people confirmed; the newest is in force."""

    __tablename__ = "classifiers"

    site: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    run_id: Mapped[str]
    sha256: Mapped[str]
    artifact_uri: Mapped[str]
    # The alarms that it learned from, per fault.
    learned: Mapped[dict[str, Any]]
    promoted_at_ms: Mapped[int]


class MachineState(Base):
    """What a machine does now: off, starting, running, still learned; the last event about it."""

    __tablename__ = "machine_states"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[dict[str, Any]]
    measured_at_ms: Mapped[int]
    at_ms: Mapped[int]


class InputDrift(Base):
    """A machine's sensors are distributed otherwise than when its model learned."""

    __tablename__ = "input_drifts"
    __table_args__ = (Index(None, "site", "device", "through_ms"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    through_ms: Mapped[int]
    event: Mapped[dict[str, Any]]


class ModelRefusal(Base):
    """A promoted model that was not put to use, such as one whose bytes were changed."""

    __tablename__ = "model_refusals"
    __table_args__ = (Index(None, "site", "device", "at_ms"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    version: Mapped[str]
    event: Mapped[dict[str, Any]]
    at_ms: Mapped[int]


class ShadowScore(Base):
    """An hour of a challenger beside the champion: how many readings each found beyond the limit. One row an hour."""

    __tablename__ = "shadow_scores"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    champion: Mapped[str] = mapped_column(primary_key=True)
    from_ms: Mapped[int] = mapped_column(primary_key=True)
    through_ms: Mapped[int]
    rows: Mapped[int]
    beyond_both: Mapped[int]
    beyond_champion: Mapped[int]
    beyond_challenger: Mapped[int]


class DeviceLimit(Base):
    """A limit that a person or a standard set for one sensor; at least one of `low` and `high` is there."""

    __tablename__ = "device_limits"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    severity: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    low: Mapped[float | None]
    high: Mapped[float | None]
    label: Mapped[str | None]
