"""Any usual way to write a PostgreSQL address, as the one that our driver understands."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from cloud.storage.errors import DatabaseError

_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"})
_DRIVER = "postgresql+asyncpg"
# libpq's spelling → asyncpg's. What asyncpg does not know it would pass to the server, which refuses; hosting providers
# put these into the addresses that they hand out.
_RENAMED = {"sslmode": "ssl"}
_LIBPQ_ONLY = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "gssencmode", "options", "target_session_attrs"}
)


def normalise_url(url: str) -> URL:
    """`postgresql://…?sslmode=require` and its kin → SQLAlchemy's address for asyncpg. Raises: DatabaseError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseError(
            "DATABASE_URL is not an address such as postgresql://user:password@host:5432/name"
        ) from error
    if parsed.drivername not in _SCHEMES:
        raise DatabaseError(f"DATABASE_URL begins with {parsed.drivername}://, but it must be postgresql://")
    options = {_RENAMED.get(key, key): value for key, value in parsed.query.items() if key not in _LIBPQ_ONLY}
    return parsed.set(drivername=_DRIVER, query=options)
