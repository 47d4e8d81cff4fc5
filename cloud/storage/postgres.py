"""The embedded database: PostgreSQL itself, from its wheel, started and stopped with us."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

import asyncpg

from cloud.storage import postgres_cluster as cluster_folder
from cloud.storage.errors import PostgresError
from cloud.storage.postgres_binaries import CACHE, installations, reachable
from cloud.storage.postgres_cluster import NAME, Cluster
from cloud.storage.postgres_process import STOP_SIGNALS, account, data_argument, end, processes_in, spawn

_log = logging.getLogger("ronda.postgres")

# Measured: 16 MB proportional set size at rest, 75 MB with eight busy connections. What is stored is on disk when it is
# said to be, so fsync and synchronous_commit stay on. No replication, no parallel workers, one vacuum worker.
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "autovacuum_max_workers": "1",
        # A fresh system is filled within seconds; without statistics the planner takes the wrong index.
        "autovacuum_naptime": "15s",
        "bgwriter_delay": "1s",
        "effective_cache_size": "512MB",
        "huge_pages": "off",
        "jit": "off",
        "listen_addresses": "127.0.0.1",
        "log_checkpoints": "off",
        "log_min_messages": "warning",
        "maintenance_work_mem": "16MB",
        "max_connections": "30",
        "max_logical_replication_workers": "0",
        "max_parallel_workers": "0",
        "max_parallel_workers_per_gather": "0",
        "max_replication_slots": "0",
        "max_wal_senders": "0",
        "max_wal_size": "256MB",
        "max_worker_processes": "0",
        "min_wal_size": "64MB",
        "random_page_cost": "1.1",
        "shared_buffers": "32MB",
        "unix_socket_directories": "",
        "wal_level": "minimal",
    }
)
_SETTINGS_BY_VERSION: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        # Reads by the backends themselves: three I/O workers fewer.
        18: {"autovacuum_worker_slots": "1", "io_method": "sync"},
    }
)
# Recovery after a kill replays at most `max_wal_size`: a second or two; a slow disk may need longer.
_READY_WITHIN_S = 60.0
_POLL_S = 0.02
_WATCH_S = 0.2


class EmbeddedPostgres:
    """One PostgreSQL server on 127.0.0.1 with its data, password and log in `data_dir`.

    `settings` are further server settings; `cache` is where the programs are copied to when root starts them for an
    unprivileged user that cannot reach the originals.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None, cache: Path = CACHE) -> None:
        self._dir = data_dir.absolute()
        self._settings = settings or {}
        self._cache = cache
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the server itself says; that of the start before is beside it with `.1`."""
        return self._dir / "server.log"

    @property
    def running(self) -> bool:
        """Is the server's process there?"""
        return self._server is not None and self._server.poll() is None

    async def start(self) -> str:
        """Start, making the database first if need be; returns its URL. After the server died: start it again.

        On Linux the server is shut down when the calling thread ends, so call from the main one.
        Raises: PostgresError with one line for a person.
        """
        try:
            self._take_lock()
            cluster, password = await asyncio.to_thread(self._prepare)
            return await self._launch(cluster, password)
        except TimeoutError:
            await self.stop()
            raise PostgresError(
                f"the database in {self._dir} was not ready in {_READY_WITHIN_S:.0f} s (see {self.log})"
            ) from None
        except OSError as error:
            await self.stop()
            where = error.filename or self._dir
            raise PostgresError(
                f"cannot keep the database in {self._dir}: {where}: {error.strerror or error}"
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends, for whatever reason; returns its exit code."""
        if self._server is None:
            return 0
        while (code := self._server.poll()) is None:  # noqa: ASYNC110  # nobody sets an event when a process ends
            await asyncio.sleep(_WATCH_S)
        return code

    async def stop(self) -> None:
        """Shut down cleanly, and by force when that takes too long. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(_end, server)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        """One launcher per folder: who holds the lock is alive, so a server found without it is an orphan."""
        if self._lock is not None:
            return
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self._dir / "launcher.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise PostgresError(f"another Ronda is running on {self._dir}: stop it, or choose another folder") from None
        self._lock = lock

    def _prepare(self) -> tuple[Cluster, str]:
        """Everything that comes before the server's start; blocking."""
        folder = self._dir / "cluster"
        found = cluster_folder.version(folder)
        offered = installations()
        if found is not None and found not in offered:
            ours = ", ".join(map(str, sorted(offered)))
            raise PostgresError(
                f"{folder} was made by PostgreSQL {found}, here is {ours}: move it away, or dump and restore it"
            )
        installation = offered[found or max(offered)]
        owner = account(folder)
        if owner is not None:
            installation = reachable(installation, self._cache)
        cluster = Cluster(folder, installation, owner)
        self._stop_orphan(folder)
        return cluster, self._password(cluster, is_new=found is None)

    def _password(self, cluster: Cluster, *, is_new: bool) -> str:
        file = self._dir / "password"
        kept = cluster_folder.password_in(file)
        if kept and not is_new:
            return kept
        password = cluster_folder.new_password(file)
        if is_new:
            cluster_folder.create(cluster, password)
        else:
            cluster_folder.change_password(cluster, password)
        return password

    def _stop_orphan(self, folder: Path) -> None:
        """Stop a server whose launcher was killed, and clear a lock file whose pid now is somebody else."""
        if orphans := processes_in(folder):
            _log.warning("orphan.stopping", extra={"pids": orphans})
            if not end(folder):
                raise PostgresError(f"an old database server on {folder} does not stop: end process {orphans[0]} first")
        if sys.platform == "linux":  # elsewhere we cannot be sure that nobody works there; PostgreSQL checks by itself
            (folder / "postmaster.pid").unlink(missing_ok=True)

    async def _launch(self, cluster: Cluster, password: str) -> str:
        major = cluster_folder.version(cluster.folder) or 0
        settings = {**_SETTINGS, **_SETTINGS_BY_VERSION.get(major, {}), **self._settings}
        port = self._port()
        arguments = ["-D", data_argument(cluster.folder), "-p", str(port)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            self._server = spawn(cluster.program, arguments, cluster.folder, cluster.owner, log)
        url = f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"
        await self._until_ready(self._server, url)
        _log.info("postgres.ready", extra={"port": port, "pid": self._server.pid})
        return url

    def _port(self) -> int:
        """The port of last time if it is free, so that clients find the server again after a restart; else any."""
        file = self._dir / "port"
        last = file.read_text().strip() if file.exists() else ""
        port = (_free_port(int(last)) if last.isdecimal() else 0) or _free_port(0)
        file.write_text(str(port))
        return port

    async def _until_ready(self, server: subprocess.Popen[bytes], url: str) -> None:
        async with asyncio.timeout(_READY_WITHIN_S):
            while True:
                if server.poll() is not None:
                    raise PostgresError(
                        f"the database in {self._dir} does not start: {self._last_words()} (see {self.log})"
                    )
                if await self._answers(url):
                    return
                await asyncio.sleep(_POLL_S)

    async def _answers(self, url: str) -> bool:
        """Does the server let us in? Raises: PostgresError when it never will."""
        try:
            connection = await asyncpg.connect(url, ssl=False)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
            return False
        except asyncpg.InvalidPasswordError:
            raise PostgresError(
                f"{self._dir / 'password'} is not the password of this database: delete that file and start again"
            ) from None
        except asyncpg.PostgresError as error:
            raise PostgresError(f"the database in {self._dir} cannot be used: {error}") from error
        await connection.close()
        return True

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        grave = [line for line in lines if "FATAL" in line or "PANIC" in line]
        return (grave or lines or ["it said nothing"])[-1]


def _free_port(wanted: int) -> int:
    """`wanted`, or any when 0; 0 when it is taken."""
    with socket.socket() as probe:
        # As the server itself does, so that connections of the last run in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


def _end(server: subprocess.Popen[bytes]) -> None:
    for sign, patience_s in STOP_SIGNALS:
        if server.poll() is not None:
            return
        os.kill(server.pid, sign)
        try:
            server.wait(patience_s)
        except subprocess.TimeoutExpired:
            _log.warning("postgres.stopping", extra={"signal": sign.name})
