"""The programs: the newest in the wheel, and a copy where the unprivileged user cannot reach the original."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cloud.storage import postgres
from cloud.storage.errors import PostgresError
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.postgres_binaries import installations, reachable
from cloud.storage.postgres_cluster import Cluster, create
from cloud.storage.postgres_process import account


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """The newest installation as it lies in an environment that only its owner may enter."""
    newest = installations()[max(installations())]
    home = tmp_path / "site-packages"
    package = newest.parent
    shutil.copytree(newest, home / package.name / newest.name, symlinks=True)
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, home / libraries)
    home.chmod(0o700)
    return home / package.name / newest.name


@pytest.fixture
def cache() -> Iterator[Path]:
    """A cache that everybody may enter."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "ronda"


def test_the_wheel_has_the_versions_that_we_know() -> None:
    assert sorted(installations()) == [16, 18]


def test_what_everybody_may_run_is_not_copied(cache: Path) -> None:
    newest = installations()[18]
    if all(parent.stat().st_mode & 0o001 for parent in newest.parents):
        assert reachable(newest, cache) == newest
        assert not cache.exists()


async def test_what_only_root_may_run_is_copied_once_and_runs(
    hidden: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = reachable(hidden, cache)
    assert cache in copy.parents
    made = (copy / "bin" / "postgres").stat()
    assert made.st_mode & 0o777 == 0o755
    assert reachable(hidden, cache) == copy
    assert (copy / "bin" / "postgres").stat().st_ino == made.st_ino
    assert list(cache.iterdir()) == [copy.parents[1]]

    monkeypatch.setattr(postgres, "installations", lambda: {18: hidden})
    server = EmbeddedPostgres(tmp_path / "data", cache=cache)
    async with asyncio.timeout(30):
        connection = await asyncpg.connect(await server.start(), ssl=False)
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        await connection.close()
        await server.stop()


def test_a_cache_that_cannot_be_written_is_said_in_one_line(hidden: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(PostgresError, match=r"^cannot copy PostgreSQL to .* for an unprivileged user: "):
        reachable(hidden, cache)


def test_what_initdb_complains_of_is_said_in_one_line(hidden: Path, cache: Path, tmp_path: Path) -> None:
    broken = reachable(hidden, cache)
    (broken / "share" / "postgresql" / "postgres.bki").unlink()
    cluster = Cluster(tmp_path / "cluster", broken, account(tmp_path / "cluster"))
    with pytest.raises(PostgresError, match=r"^cannot make a database in [^\n]*error: file [^\n]*postgres.bki"):
        create(cluster, "password")
    assert not cluster.folder.exists()
