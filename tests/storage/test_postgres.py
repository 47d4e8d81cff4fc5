"""The embedded server: starts anywhere, keeps its data, dies with us, and says clearly when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cloud.storage.errors import PostgresError
from cloud.storage.postgres import EmbeddedPostgres
from cloud.storage.postgres_process import processes_in

_DEADLINE_S = 30


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a space in its path, below one that only we may enter."""
    with tempfile.TemporaryDirectory() as parent:
        assert Path(parent).stat().st_mode & 0o777 == 0o700
        yield Path(parent) / "pump house" / "postgres"


async def _execute(url: str, query: str) -> object:
    async with asyncio.timeout(_DEADLINE_S):
        connection = await asyncpg.connect(url, ssl=False)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()


async def test_a_second_start_finds_the_data_at_the_same_address(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    first = await server.start()
    await _execute(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    await server.stop()
    assert processes_in(folder / "cluster") == []
    again = EmbeddedPostgres(folder)
    assert await again.start() == first
    assert await _execute(first, "SELECT answer FROM kept") == 42
    await again.stop()
    await again.stop()


async def test_nobody_gets_in_without_the_password(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    password = url.partition("ronda:")[2].partition("@")[0]
    for wrong in (url.replace(password, "guess"), url.replace("ronda:", "postgres:")):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _execute(wrong, "SELECT 1")
    assert await _execute(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    await server.stop()


async def test_root_rights_are_dropped_without_opening_a_folder(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    await server.start()
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in processes_in(folder / "cluster")}
    assert 0 not in owners
    assert len(owners) == 1
    assert {each.stat().st_mode & 0o077 for each in (folder.parents[1], folder, folder / "cluster")} == {0}
    await server.stop()


async def test_after_kill_9_of_the_server_nothing_committed_is_lost(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    await _execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    first, *_ = sorted(processes_in(folder / "cluster"))
    os.kill(first, signal.SIGKILL)
    assert await asyncio.wait_for(server.wait(), _DEADLINE_S) == -signal.SIGKILL
    assert not server.running
    assert await server.start() == url
    assert await _execute(url, "SELECT answer FROM kept") == 42
    await server.stop()


_LAUNCH = """
import asyncio, sys
from pathlib import Path
from cloud.storage.postgres import EmbeddedPostgres

async def main():
    print(await EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_after_kill_9_of_the_launcher_the_server_ends_by_itself(folder: Path) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", _LAUNCH, str(folder)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    url = (await asyncio.wait_for(asyncio.to_thread(launcher.stdout.readline), _DEADLINE_S)).strip()
    await _execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    async with asyncio.timeout(_DEADLINE_S):
        while processes_in(folder / "cluster"):
            await asyncio.sleep(0.02)
    server = EmbeddedPostgres(folder)
    assert await _execute(await server.start(), "SELECT answer FROM kept") == 42
    await server.stop()


async def test_a_server_left_running_is_stopped_and_replaced(folder: Path) -> None:
    forgotten = EmbeddedPostgres(folder)
    url = await forgotten.start()
    await _execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert forgotten._lock is not None
    forgotten._lock.close()  # as when its launcher is killed where the kernel cannot tell the server
    orphans = processes_in(folder / "cluster")
    server = EmbeddedPostgres(folder)
    assert await _execute(await server.start(), "SELECT answer FROM kept") == 42
    assert not set(orphans) & set(processes_in(folder / "cluster"))
    await server.stop()
    await forgotten.stop()


async def test_a_lock_file_with_the_pid_of_another_process_does_not_keep_the_server_down(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    await server.start()
    lock = (folder / "cluster" / "postmaster.pid").read_text()
    await server.stop()
    stale = lock.replace(lock.partition("\n")[0], str(os.getpid()), 1)
    (folder / "cluster" / "postmaster.pid").write_text(stale)
    await server.start()
    await server.stop()


async def test_one_folder_has_one_launcher(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    with pytest.raises(PostgresError, match=r"^another Ronda is running on .*: stop it, or choose another folder$"):
        await EmbeddedPostgres(folder).start()
    assert await _execute(url, "SELECT 1") == 1
    await server.stop()


async def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    (folder / "cluster.new" / "base").mkdir(parents=True)
    server = EmbeddedPostgres(folder)
    assert await _execute(await server.start(), "SELECT 1") == 1
    await server.stop()


async def test_a_lost_password_is_replaced(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    first = await server.start()
    await server.stop()
    (folder / "password").write_text("another\n")
    assert (await _complaint(folder)).endswith("delete that file and start again")
    (folder / "password").unlink()
    url = await server.start()
    assert url != first
    assert await _execute(url, "SELECT 1") == 1
    await server.stop()


async def test_a_port_that_was_taken_meanwhile_is_left_alone(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    first = await server.start()
    await server.stop()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(first.rpartition(":")[2].partition("/")[0]))
    url = await server.start()
    assert url != first
    assert await _execute(url, "SELECT 1") == 1
    await server.stop()
    taken.close()
    await taken.wait_closed()


def test_a_plain_user_needs_nothing_from_root() -> None:
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o777)
        child = os.fork()
        if child == 0:
            os._exit(_exit_code_as_plain_user(Path(parent) / "mine"))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _exit_code_as_plain_user(folder: Path) -> int:
    """In a child process: nobody starts, uses and stops a server."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        asyncio.run(_start_use_stop(folder))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


async def _start_use_stop(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    assert await _execute(await server.start(), "SELECT 1") == 1
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_in(folder / "cluster")} == {os.geteuid()}
    await server.stop()


async def _complaint(folder: Path) -> str:
    """The one line that a person is shown; afterwards nothing runs and the folder is free."""
    server = EmbeddedPostgres(folder)
    with pytest.raises(PostgresError) as caught:
        await server.start()
    assert not server.running
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_folder_that_cannot_be_written_is_said_in_one_line(folder: Path) -> None:
    folder.parent.write_text("a file where the folder should be")
    assert await _complaint(folder) == f"cannot keep the database in {folder}: {folder}: Not a directory"


async def test_a_broken_database_is_said_in_one_line(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    await server.start()
    await server.stop()
    control = folder / "cluster" / "global" / "pg_control"
    whole = control.read_bytes()
    control.write_bytes(b"\0" * len(whole))
    assert (await _complaint(folder)).startswith(f"the database in {folder} does not start: ")
    control.write_bytes(whole)
    (folder / "cluster" / "PG_VERSION").write_text("9\n")
    assert await _complaint(folder) == (
        f"{folder}/cluster was made by PostgreSQL 9, here is 16, 18: move it away, or dump and restore it"
    )
    (folder / "cluster" / "PG_VERSION").unlink()
    assert "is not a readable PostgreSQL database" in await _complaint(folder)


async def test_postgresql_stays_small(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    url = await server.start()
    connections = [await asyncpg.connect(url, ssl=False) for _ in range(8)]
    await connections[0].execute("CREATE TABLE load AS SELECT n, random() FROM generate_series(1, 300000) AS n")
    for connection in connections:
        await connection.fetchval("SELECT count(*) FROM load")
    assert sum(_pss_kb(pid) for pid in processes_in(folder / "cluster")) < 80_000
    for connection in connections:
        await connection.close()
    await server.stop()


def _pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
