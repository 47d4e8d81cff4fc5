"""Who may connect: one password file that the embedded broker and Mosquitto both read.

The format is Mosquitto's own, one `user:$7$iterations$salt$hash` a line: PBKDF2-HMAC-SHA512 with salt and hash in
Base64 (its `password_mosq.h`, since 2.0).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from contract.errors import RondaError

# Every password here is one of ours with 192 random bits, so a stolen file cannot be searched whatever the rounds;
# many rounds would only slow a fleet that reconnects at once. 101 is Mosquitto's own default.
_ITERATIONS = 101
_SALT_BYTES = 12
_HASH_BYTES = 64
_PASSWORD_BYTES = 24
_MARK = "$7$"
# How every client id of a service begins; nobody else's may.
SERVICE_PREFIX = "ronda-"
# 64 bits: nobody finds it by trying, each try being a connection.
_SUFFIX_DIGITS = 16


class CredentialsError(RondaError):
    """A user or a password file that cannot be used."""


class _Version(NamedTuple):
    """Tells one state of the file from another without reading it."""

    inode: int
    modified_ns: int
    size: int


class Credentials:
    """The users of the broker and their passwords, in one file, written whole and under a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: _Version | None = None
        self._hashes: dict[str, str] = {}

    @staticmethod
    def new_password() -> str:
        """A fresh secret of 192 random bits, in characters that stand in a URL."""
        return secrets.token_urlsafe(_PASSWORD_BYTES)

    def set(self, user: str, password: str) -> None:
        """Let `user` connect with `password` from now on. Raises: CredentialsError for an impossible user name."""
        self.set_all({user: password})

    def set_all(self, passwords: Mapping[str, str]) -> None:
        """The same for many users in one write; none where all of it stands there already, as at most starts."""
        with self._writing() as hashes:
            for user, password in passwords.items():
                if not _is_hash_of(hashes.get(_checked(user), ""), password):
                    hashes[user] = _hashed(password, secrets.token_bytes(_SALT_BYTES))

    def remove(self, user: str) -> None:
        """Let `user` connect no more; the embedded broker cuts its connections off."""
        with self._writing() as hashes:
            hashes.pop(user, None)

    def users(self) -> list[str]:
        """Everybody who may connect, in alphabetical order."""
        return sorted(self.hashes())

    def verify(self, user: str, password: str) -> bool:
        """Is this the user's password?"""
        known = self.hashes().get(user)
        return known is not None and _is_hash_of(known, password)

    def hashes(self) -> Mapping[str, str]:
        """User → hashed password as the file says now; read again only when the file changed."""
        version = self._current_version()
        if version != self._version:
            self._hashes = _read(self.path)
            self._version = version
        return self._hashes

    def _current_version(self) -> _Version | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return _Version(status.st_ino, status.st_mtime_ns, status.st_size)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[dict[str, str]]:
        """Read, let the caller change, write: alone, also among processes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(self.path.name + ".lock")
        with lock.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            before = _read(self.path)
            hashes = dict(before)
            yield hashes
            if hashes != before or not self.path.exists():
                _write(self.path, hashes)


def secret_client_id(name: str, password: str | None) -> str:
    """The client id of a service: `name` and 16 hexadecimal digits that only who has its password can know.

    MQTT lets whoever connects with a client id throw off the one who has it, and Mosquitto asks for no more than some
    user's password. The same password makes the same id, so a persistent session is found again. A broker that wants
    no password protects nothing by it: the plain name.
    """
    if password is None:
        return name
    suffix = hmac.new(password.encode(), name.encode(), hashlib.sha256).hexdigest()
    return f"{name}-{suffix[:_SUFFIX_DIGITS]}"


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    # A user name may hold no ':', a hash has none: the last one parts them.
    return {user: known for user, colon, known in (line.rpartition(":") for line in lines) if colon}


def _write(path: Path, hashes: Mapping[str, str]) -> None:
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.writelines(f"{user}:{known}\n" for user, known in sorted(hashes.items()))
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(path)


def _hashed(password: str, salt: bytes, iterations: int = _ITERATIONS) -> str:
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, _HASH_BYTES)
    return f"{_MARK}{iterations}${_base64(salt)}${_base64(digest)}"


def _is_hash_of(known: str, password: str) -> bool:
    try:
        iterations, salt, _ = known.removeprefix(_MARK).split("$")
        computed = _hashed(password, base64.b64decode(salt), int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(computed, known)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _checked(user: str) -> str:
    # '+' and '#' would widen a rule that Mosquitto makes from the user name.
    if not user or any(mark in user for mark in ":+#\r\n\x00"):
        raise CredentialsError(f"the user name {user!r} must be SITE/DEVICE, gateway/SITE or a service's plain name")
    return user
