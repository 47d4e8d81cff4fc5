"""Which tokens are refused although their time has not come: those whose owner logged out."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import EndedToken


class EndedTokenStore:
    """Keeps the ids of ended tokens, for every API process and beyond its restart, until they would end anyway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token_id: str, *, expires_at_ms: int, now_ms: int) -> None:
        """Refuse this token from now on."""
        new = insert(EndedToken).values(token_id=token_id, ended_at_ms=now_ms, expires_at_ms=expires_at_ms)
        async with self._database.begin() as connection:
            await connection.execute(new.on_conflict_do_nothing())

    async def since(self, ended_at_ms: int, *, now_ms: int) -> dict[str, int]:
        """Those ended since then: id → when it would end anyway (epoch ms), which is after `now_ms`."""
        wanted = select(EndedToken.token_id, EndedToken.expires_at_ms).where(
            EndedToken.ended_at_ms >= ended_at_ms, EndedToken.expires_at_ms > now_ms
        )
        async with self._database.begin() as connection:
            return {row.token_id: row.expires_at_ms for row in await connection.execute(wanted)}

    async def forget(self, *, now_ms: int) -> int:
        """Forget those that would have ended by now. Returns how many."""
        past = delete(EndedToken).where(EndedToken.expires_at_ms <= now_ms)
        async with self._database.begin() as connection:
            return (await connection.execute(past)).rowcount
