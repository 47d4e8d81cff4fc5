"""Any usual way to write a PostgreSQL address, as what our driver needs to connect."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from cloud.storage.errors import DatabaseError
from cloud.storage.tls import TLS_OPTIONS, tls_of

_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"})
_DRIVER = "postgresql+asyncpg"
# Hosting providers put these into the addresses that they hand out; libpq knows them, and our driver has no use for
# them: passed on, the server would refuse them.
_LIBPQ_ONLY = frozenset({"channel_binding", "connect_timeout", "gssencmode", "options", "target_session_attrs"})
_POOLER = "pgbouncer"
_NAME = "application_name"


class Address(NamedTuple):
    """Where the database is. `pooler`: behind one that gives each transaction any of its connections."""

    url: URL
    tls: ssl.SSLContext | str | bool | None
    pooler: bool
    application_name: str


def read_address(text: str) -> Address:
    """`postgresql://…?sslmode=verify-full&sslrootcert=…` and its kin. Raises: DatabaseError."""
    parsed = _parsed(text)
    options = {key: value if isinstance(value, str) else value[-1] for key, value in parsed.query.items()}
    if unknown := sorted(options.keys() - TLS_OPTIONS - _LIBPQ_ONLY - {_POOLER, _NAME}):
        raise DatabaseError(f"DATABASE_URL: there is no option {unknown[0]!r} here")
    return Address(
        url=parsed.set(drivername=_DRIVER, query={}),
        tls=tls_of(options),
        pooler=_is_pooler(options),
        application_name=options.get(_NAME, "ronda"),
    )


def _parsed(text: str) -> URL:
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(
            "DATABASE_URL is not an address such as postgresql://user:password@host:5432/name"
        ) from error
    if parsed.drivername not in _SCHEMES:
        raise DatabaseError(f"DATABASE_URL begins with {parsed.drivername}://, but it must be postgresql://")
    return parsed


def _is_pooler(options: Mapping[str, str]) -> bool:
    said = options.get(_POOLER, "false")
    if said not in ("true", "false"):
        raise DatabaseError(f"DATABASE_URL: pgbouncer={said} is neither true nor false")
    return said == "true"
