from __future__ import annotations

from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.users import UserRecord, UserStore

MARIA = UserRecord(username="maria", scopes=["data:read"], devices=["plant-1/*"], created_at_ms=1)


async def _with_maria(database: Database) -> UserStore:
    users = UserStore(database)
    assert await users.add("maria", "correct horse", scopes=["data:read"], devices=["plant-1/*"], now_ms=1)
    return users


async def test_the_right_password_opens_and_no_other(database: Database) -> None:
    users = await _with_maria(database)
    assert await users.authenticate("maria", "correct horse") == MARIA
    assert await users.authenticate("maria", "correct horse ") is None
    assert await users.authenticate("nobody", "correct horse") is None


async def test_the_password_itself_is_kept_nowhere(database: Database) -> None:
    await _with_maria(database)
    async with database.begin() as connection:
        row = (await connection.execute(text("SELECT * FROM users"))).one()
    assert row.password_hash.startswith("$argon2id$")
    assert "correct horse" not in str(row)


async def test_a_taken_name_changes_nothing(database: Database) -> None:
    users = await _with_maria(database)
    assert not await users.add("maria", "mine now", scopes=["devices:write"], devices=["*"], now_ms=2)
    assert await users.get("maria") == MARIA
    assert await users.authenticate("maria", "mine now") is None


async def test_a_password_can_be_changed_and_a_user_removed(database: Database) -> None:
    users = await _with_maria(database)
    assert await users.set_password("maria", "battery staple")
    assert await users.authenticate("maria", "correct horse") is None
    assert await users.authenticate("maria", "battery staple") == MARIA
    assert await users.remove("maria")
    assert not await users.remove("maria")
    assert await users.all() == []
