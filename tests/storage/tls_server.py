"""Debian's PostgreSQL with TLS, which the wheel's is built without: it speaks for a hosted one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from tests.support.ports import free_port

_READY_WITHIN_S = 20.0
_PASSWORD = "the-password"
_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"


class TlsServer:
    """A server in `folder`, below which everybody may go, with its certificate and the authority of its clients."""

    def __init__(self, folder: Path, certificate: Path, key: Path, client_authority: Path) -> None:
        self._folder = folder
        self._files = {"server.crt": certificate, "server.key": key, "root.crt": client_authority}
        self._account = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else os.geteuid()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"postgresql://ronda:{_PASSWORD}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Returns once it listens."""
        self._folder.mkdir()
        password = self._folder / "password"
        password.write_text(_PASSWORD)
        os.chown(self._folder, self._account, -1)
        cluster = self._folder / "cluster"
        self._run("initdb", "-D", str(cluster), "-U", "ronda", "--pwfile", str(password), "--auth", "reject", "-N")
        (cluster / "pg_hba.conf").write_text(_ACCESS)
        for name, source in self._files.items():
            shutil.copy(source, cluster / name)
            (cluster / name).chmod(0o600)
            os.chown(cluster / name, self._account, -1)
        settings = {"ssl": "on", "ssl_ca_file": "root.crt", "fsync": "off", "unix_socket_directories": ""}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [_program("postgres"), "-D", str(cluster), "-p", str(self._port), *options],
            user=self._account, cwd=self._folder, stdout=log, stderr=log,
        )  # fmt: skip
        self._until_ready()

    def stop(self) -> None:
        """At once: nothing has to survive."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _until_ready(self) -> None:
        ends = time.monotonic() + _READY_WITHIN_S
        command = [_program("pg_isready"), "-h", "127.0.0.1", "-p", str(self._port)]
        while subprocess.run(command, capture_output=True, check=False).returncode:
            assert time.monotonic() < ends, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_program(program), *arguments], user=self._account, cwd=self._folder, check=True, capture_output=True
        )


def _program(name: str) -> str:
    return str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
