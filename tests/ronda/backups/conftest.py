"""A real PostgreSQL, with full and with empty databases, and one backed-up plant for all tests."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from cloud.models.registry import Registry
from cloud.storage.promotions import Promotion
from ronda.backups.making import run_backup
from ronda.settings import Settings
from tests.ronda.backups.plant import Plant, fill, learn
from tests.support.database import database_url, postgres

__all__ = ["database_url", "empty_database", "postgres"]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting but those of the test; MLflow itself leaves one behind."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def empty_database(postgres: str) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Makes databases without any table; returns the address of each."""
    base, made = postgres.rpartition("/")[0], []

    async def make(name: str) -> str:
        made.append(name)
        await _execute(base, f"CREATE DATABASE {name} TEMPLATE template0")
        return f"{base}/{name}"

    yield make
    for name in made:
        await _execute(base, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def plant(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A data folder, the database to it, and a backup of both; to look at, not to change."""
    base = postgres.rpartition("/")[0]
    data = tmp_path_factory.mktemp("plant") / "old plant"
    for name in ("broker/passwd", "secrets.json", "tls/ca.key", "emulator/fleet.json", "logs/hub.jsonl"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(f"of {name}")
    promotion = learn(Registry(f"sqlite:///{data}/mlflow/mlflow.db", str(data / "mlflow" / "artifacts")))
    asyncio.run(_execute(base, "CREATE DATABASE plant TEMPLATE ronda"))
    yield Plant(data, f"{base}/plant", promotion, asyncio.run(_backed_up(data, f"{base}/plant", promotion)))
    asyncio.run(_execute(base, "DROP DATABASE plant WITH (FORCE)"))


@pytest.fixture
def backup(plant: Plant, tmp_path: Path) -> Path:
    """A copy of its backup, which may be hurt."""
    return Path(shutil.copytree(plant.backup, tmp_path / "backups" / plant.backup.name))


async def _backed_up(data: Path, url: str, promotion: Promotion) -> Path:
    await fill(url, promotion)
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as settings:
        for name in Settings.model_fields:
            settings.delenv(name.upper(), raising=False)
        settings.setenv("DATABASE_URL", url)
        await run_backup(data, str(data.parent / "backups"), lines.append)
    return Path(lines[0].removeprefix("backup to "))


async def _execute(base: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{base}/postgres", ssl=False)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
