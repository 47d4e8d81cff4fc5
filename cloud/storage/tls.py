"""TLS to the database, spelled as libpq spells it (PostgreSQL documentation, section 32.19), for the driver."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from cloud.storage.errors import DatabaseError

TLS_OPTIONS = frozenset({"ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"})
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# The driver itself tries with and without TLS in these, and checks nothing.
_UNSURE = ("allow", "prefer")
# libpq's word for the authorities that the operating system trusts.
_SYSTEM = "system"


def tls_of(options: Mapping[str, str]) -> ssl.SSLContext | str | bool | None:
    """The driver's `ssl` argument for an address's options; None: not said, so TLS where the server offers it.

    As in libpq, `require` with a `sslrootcert` checks the certificate like `verify-ca`, and `sslrootcert=system` is
    only for `verify-full`. Other than there, `verify-…` without one goes by the system's authorities.
    Raises: DatabaseError for what cannot work.
    """
    mode = _mode(options)
    files = TLS_OPTIONS & set(options) - {"ssl", "sslmode"}
    if mode in (None, "disable", *_UNSURE):
        if files:
            raise DatabaseError(
                f"DATABASE_URL: {min(files)} needs sslmode=require, verify-ca or verify-full; "
                f"here it is {mode or 'not set'}"
            )
        return False if mode == "disable" else mode
    return _context(mode, options)


def _mode(options: Mapping[str, str]) -> str | None:
    """`ssl=true`, which some providers write, means `sslmode=require`."""
    said = options.get("sslmode") or options.get("ssl")
    mode = "require" if said == "true" else said
    if mode not in (None, *_MODES):
        raise DatabaseError(f"DATABASE_URL: sslmode={mode} is none of {', '.join(_MODES)}")
    return mode


def _context(mode: str, options: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root = options.get("sslrootcert")
    if root == _SYSTEM and mode != "verify-full":
        raise DatabaseError(f"DATABASE_URL: sslrootcert=system needs sslmode=verify-full; here it is {mode}")
    context.check_hostname = mode == "verify-full"
    if mode == "require" and root is None:
        context.verify_mode = ssl.CERT_NONE
    elif root in (None, _SYSTEM):
        context.load_default_certs()
    else:
        _load("sslrootcert", context, root)
    _show_certificate(context, options)
    if crl := options.get("sslcrl"):
        _load("sslcrl", context, crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _load(option: str, context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(cafile=_path(file))
    except OSError as error:  # ssl.SSLError is one
        raise _unreadable(option, file, error) from error


def _show_certificate(context: ssl.SSLContext, options: Mapping[str, str]) -> None:
    """Ours, for a server that asks clients for one."""
    certificate = options.get("sslcert")
    if certificate is None:
        if "sslkey" in options:
            raise DatabaseError("DATABASE_URL: sslkey needs sslcert, the certificate that it belongs to")
        return
    key, password = options.get("sslkey"), options.get("sslpassword", "")
    try:
        context.load_cert_chain(_path(certificate), None if key is None else _path(key), lambda: password)
    except OSError as error:
        raise _unreadable("sslcert", certificate, error) from error


def _path(file: str) -> Path:
    return Path(file).expanduser()


def _unreadable(option: str, file: str, error: OSError) -> DatabaseError:
    why = "is no PEM file of that kind, or does not fit" if isinstance(error, ssl.SSLError) else error.strerror
    return DatabaseError(f"DATABASE_URL: {option}={file}: {why}")
