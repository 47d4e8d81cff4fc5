"""Which failures of the database pass by themselves, and which one a person must mend."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cloud.storage.errors import DatabaseError
from contract.errors import RondaError, TransientError

# SQLSTATE classes and codes, PostgreSQL documentation, appendix A: connection lost, transaction rolled back for another
# one's sake (deadlock, serialisation), resources short, operator intervention (shutting down, starting).
_TRANSIENT = ("08", "40", "53", "57P", "55P03")
# No such role, wrong password, no such database, no such table, no rights.
_REFUSED = ("28", "3D000", "42P01", "42501")


def failure(error: BaseException) -> RondaError | None:
    """What to raise instead of `error`; None when it is a mistake of ours and should be seen as it is."""
    cause = _cause(error)
    if isinstance(cause, asyncpg.PostgresError):
        return _by_state(cause)
    if isinstance(cause, PoolTimeoutError | OSError) or _is_closed(cause):
        return TransientError(f"the database is away: {_line(cause)}")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return TransientError(f"the database is away: {_line(error)}")
    return None


def _by_state(error: asyncpg.PostgresError) -> RondaError | None:
    state = error.sqlstate or ""
    if state.startswith(_TRANSIENT):
        return TransientError(f"the database is away: {_line(error)}")
    if state.startswith(_REFUSED):
        return DatabaseError(f"the database refuses us: {_line(error)}")
    return None


def _is_closed(error: BaseException) -> bool:
    """The driver's word for a connection that broke; its other errors of this class are misuse."""
    return isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)


def _cause(error: BaseException) -> BaseException:
    """What the driver itself said, below SQLAlchemy's wrapping."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
