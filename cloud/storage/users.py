"""Who may log in, what for, and for which devices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import User

# OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The hash of nobody's password: a user who is not there takes as long to refuse as one who is.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$SM6oPPrMwqnUjEUb2WVfyQ$xED2IC47wMCyW7gpnUkU1Fa1hfz/CFYjJBe44qkBxu4"


class UserRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user; `devices` are `site/device`, `site/*` or `*`."""

    username: str
    scopes: list[str]
    devices: list[str]
    created_at_ms: int


class UserStore:
    """Keeps users; of a password only its argon2id hash."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, username: str, password: str, *, scopes: Sequence[str], devices: Sequence[str], now_ms: int
    ) -> bool:
        """Add a user. Returns False, and changes nothing, when the name is taken."""
        hashed = await asyncio.to_thread(_hasher.hash, password)
        new = insert(User).values(
            username=username,
            password_hash=hashed,
            scopes=list(scopes),
            devices=list(devices),
            created_at_ms=now_ms,
        )
        async with self._database.begin() as connection:
            return (await connection.execute(new.on_conflict_do_nothing())).rowcount == 1

    async def authenticate(self, username: str, password: str) -> UserRecord | None:
        """The user if the password is right, else None, after the same time."""
        row = await self._row(username)
        kept = _NOBODY if row is None else row.password_hash
        right = await asyncio.to_thread(_matches, kept, password)
        return _record(row) if row is not None and right else None

    async def get(self, username: str) -> UserRecord | None:
        """The user, or None."""
        row = await self._row(username)
        return None if row is None else _record(row)

    async def set_password(self, username: str, password: str) -> bool:
        """Returns whether there is such a user."""
        hashed = await asyncio.to_thread(_hasher.hash, password)
        change = update(User).where(User.username == username).values(password_hash=hashed)
        async with self._database.begin() as connection:
            return (await connection.execute(change)).rowcount == 1

    async def remove(self, username: str) -> bool:
        """Returns whether there was such a user."""
        async with self._database.begin() as connection:
            return (await connection.execute(delete(User).where(User.username == username))).rowcount == 1

    async def all(self) -> list[UserRecord]:
        """All users by name."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(User.__table__).order_by(User.username))
            return [_record(row) for row in rows]

    async def _row(self, username: str) -> Row[*tuple[Any, ...]] | None:
        async with self._database.begin() as connection:
            return (await connection.execute(select(User.__table__).where(User.username == username))).one_or_none()


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except VerifyMismatchError:
        return False


def _record(row: Row[*tuple[Any, ...]]) -> UserRecord:
    return UserRecord(username=row.username, scopes=row.scopes, devices=row.devices, created_at_ms=row.created_at_ms)
