"""What every table of the store has in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Double, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# What is shared comes last, except for the key: that of a device is looked up by its beginning.
_FIRST = -1


class Base(DeclarativeBase):
    """Every table of the store; names of keys and indexes follow one rule, so that migrations can name them."""

    metadata = MetaData(naming_convention={"pk": "%(table_name)s_pkey", "ix": "%(table_name)s_%(column_0_N_name)s"})
    type_annotation_map = {  # noqa: RUF012  # read by SQLAlchemy when the class is made
        int: BigInteger,
        float: Double,
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[float | None]: ARRAY(Double),
    }


class FittedModel:
    """A model of a device: which, where its bytes are and what they hash to, and which readings it learned from."""

    site: Mapped[str] = mapped_column(primary_key=True, sort_order=_FIRST)
    device: Mapped[str] = mapped_column(primary_key=True, sort_order=_FIRST)
    version: Mapped[str] = mapped_column(primary_key=True, sort_order=_FIRST)
    name: Mapped[str]
    run_id: Mapped[str]
    sha256: Mapped[str]
    data_hash: Mapped[str]
    artifact_uri: Mapped[str]
    rows: Mapped[int]
    trained_from_ms: Mapped[int]
    trained_through_ms: Mapped[int]
