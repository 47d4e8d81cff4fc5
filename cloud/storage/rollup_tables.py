"""What remains of readings when they are too many to keep or to draw: minutes and hours, and what is gone.

Plain tables on either layout: a minute is a sixtieth of its readings, and is taken away machine by machine.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Identity, Index
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from cloud.storage.base import Base


class RollUp:
    """One device's readings of one stretch of time; the arrays follow the order of its metrics, as its readings do.

    `generation`: how often what it is made of had been taken away before; late readings make a row of their own, and
    all rows of one time belong together.
    """

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    from_ms: Mapped[int] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    readings: Mapped[int]
    counts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    lows: Mapped[list[float | None]]
    highs: Mapped[list[float | None]]
    sums: Mapped[list[float | None]]


class MinuteOfReadings(RollUp, Base):
    """What a device measured within one minute."""

    __tablename__ = "readings_by_minute"


class HourOfReadings(RollUp, Base):
    """What a device measured within one hour."""

    __tablename__ = "readings_by_hour"


class RollUpDue(Base):
    """Minutes (since 1970) of a device whose readings changed since they were added up."""

    __tablename__ = "roll_ups_due"
    __table_args__ = (Index(None, "site", "device"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    site: Mapped[str]
    device: Mapped[str]
    minutes: Mapped[Any] = mapped_column(INT8MULTIRANGE, nullable=False)


class Retired(Base):
    """A stretch of time whose readings, minutes or hours (`what`) were taken away because of their age."""

    __tablename__ = "retired"

    what: Mapped[str] = mapped_column(primary_key=True)
    from_ms: Mapped[int] = mapped_column(primary_key=True)
    retired_at_ms: Mapped[int] = mapped_column(primary_key=True)
    end_ms: Mapped[int]
    rows: Mapped[int]


class RetiredReadings(Base):
    """How many readings of a boot were stored and are gone because of their age: stored = there + these."""

    __tablename__ = "retired_readings"

    site: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    readings: Mapped[int]
