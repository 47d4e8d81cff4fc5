"""Debian's PgBouncer before a test's database: each transaction gets whichever of two connections is free."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.support.ports import free_port

_READY_WITHIN_S = 10.0
# Debian's account, so that root's rights are dropped.
_ACCOUNT = "nobody"


class Pooler:
    """In `folder`, which everybody may enter, before the database at `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._server = make_url(url)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The same database, through the pooler."""
        there = self._server.set(host="127.0.0.1", port=self._port, query={"pgbouncer": "true"})
        return there.render_as_string(hide_password=False)

    def start(self) -> None:
        """Returns once it listens."""
        users = self._folder / "users.txt"
        users.write_text(f'"{self._server.username}" "{self._server.password}"\n')
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(self._settings(users))
        command = ["/usr/sbin/pgbouncer", "--quiet", str(settings)]
        log = (self._folder / "log").open("wb")
        who = _ACCOUNT if os.geteuid() == 0 else None
        self._process = subprocess.Popen(command, user=who, stdout=log, stderr=log)
        ends = time.monotonic() + _READY_WITHIN_S
        while not self._listens():
            assert time.monotonic() < ends, (self._folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _settings(self, users: Path) -> str:
        server = self._server
        return f"""
            [databases]
            {server.database} = host={server.host} port={server.port} dbname={server.database}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self._port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {users}
            pool_mode = transaction
            default_pool_size = 2
            """.replace("            ", "")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
