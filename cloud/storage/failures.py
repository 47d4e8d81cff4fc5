"""Which failures of the database pass by themselves, and which one a person must mend."""

from __future__ import annotations

import ssl

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cloud.storage.errors import DatabaseError
from contract.errors import RondaError, TransientError

# SQLSTATE classes and codes, PostgreSQL documentation, appendix A: connection lost, transaction rolled back for another
# one's sake (deadlock, serialisation), resources short, operator intervention (shutting down, starting).
# Also a statement that took longer than it may (57014), a server that is read-only before it is promoted (25006), a
# database that is closed for maintenance (55000), a disk that fails (58030).
_TRANSIENT = ("08", "25006", "40", "53", "55000", "55P03", "57P", "57014", "58030")
# No such role, wrong password, no such database, no such table, no rights.
_REFUSED = ("28", "3D000", "42P01", "42501")
# OpenSSL's codes (X509_V_ERR_…, `openssl verify`) → what a person can do about it.
_STRANGER = "name the authority that signed it with sslrootcert=…"
_OTHER_NAME = "connect by a name that it has; sslmode=verify-ca accepts any name of a trusted authority"
_REMEDY = {18: _STRANGER, 19: _STRANGER, 20: _STRANGER, 21: _STRANGER, 62: _OTHER_NAME, 64: _OTHER_NAME}


def failure(error: BaseException) -> RondaError | None:
    """What to raise instead of `error`; None when it is a mistake of ours and should be seen as it is."""
    cause = _cause(error)
    if isinstance(cause, asyncpg.PostgresError):
        return _by_state(cause)
    if (refusal := _tls_refusal(cause)) is not None:
        return refusal
    if isinstance(cause, PoolTimeoutError | OSError) or _is_closed(cause):
        return TransientError(f"the database is away: {_line(cause)}")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return TransientError(f"the database is away: {_line(error)}")
    return None


def _tls_refusal(error: BaseException) -> DatabaseError | None:
    """No agreement on TLS, which trying again will not change; a broken connection is none."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _REMEDY.get(error.verify_code)
        why = f"{(error.verify_message or '').rstrip('.')}{f': {remedy}' if remedy else ''}"
        return DatabaseError(f"the certificate of the database is refused, {why}")
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return DatabaseError(f"the database refuses our TLS, {error.reason}: it may want sslcert=… and sslkey=…")
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return DatabaseError("the database offers no TLS: sslmode=disable does without, on a network that you trust")
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
