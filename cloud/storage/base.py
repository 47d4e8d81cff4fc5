"""What every table of the store has in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Double, LargeBinary, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase


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
