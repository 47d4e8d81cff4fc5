"""A real `ronda up` in a folder of the test's, on free ports: started, asked, hurt, and stopped without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
# Twice what the product promises, on a machine that runs other tests beside this one.
READY_WITHIN_S = 90.0

T = TypeVar("T")


def until(found: Callable[[], T | None], what: str | Callable[[], str], within_s: float = 30.0) -> T:
    """Ask until there is an answer. Fails with `what`, said at the end, when there is none in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if (answer := found()) is not None:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {what if isinstance(what, str) else what()}")


class Ronda:
    """One installation. Settings of the environment that the tests run in do not reach it."""

    def __init__(
        self, data: Path, *options: str, environment: Mapping[str, str] | None = None, ca: Path | None = None
    ) -> None:
        """`ca`: it speaks HTTPS with a certificate of this authority."""
        self.data = data
        self.http_port, self.mqtt_port = free_port(), free_port()
        self.tls = None if ca is None else ssl.create_default_context(cafile=ca)
        self.url = f"{'http' if ca is None else 'https'}://127.0.0.1:{self.http_port}"
        self.output = data.parent / f"{data.name}.out"
        self._options = options
        self._environment = clean_environment() | dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None
        self._token: str | None = None

    def start(self) -> Ronda:
        """Start `ronda up` without waiting."""
        ports = ["--http-port", str(self.http_port), "--mqtt-port", str(self.mqtt_port)]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ronda", "up", "--data", str(self.data), *ports, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.data.parent,
            )
        return self

    def until_ready(self, within_s: float = READY_WITHIN_S) -> float:
        """Wait for /readyz; returns the seconds it took from here."""
        began = time.monotonic()
        until(lambda: self._answers("/readyz"), lambda: f"ready; it said:\n{self.said()}\n{self.errors()}", within_s)
        return time.monotonic() - began

    def until_up(self, within_s: float = READY_WITHIN_S) -> None:
        """Wait until the web process answers: for an installation that lacks what readiness asks for."""
        until(lambda: self._answers("/healthz"), lambda: f"up; it said:\n{self.said()}\n{self.errors()}", within_s)

    def said(self) -> str:
        """What `ronda up` printed."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def errors(self) -> str:
        """What its parts printed outside their logs, and the tracebacks in these."""
        logs = self.data / "logs"
        texts = [path.read_text(errors="replace") for path in sorted(logs.glob("*.err"))] if logs.exists() else []
        found = [line["traceback"] for line in self.log_lines() if "traceback" in line]
        return "\n".join([*texts, *found])[-8000:]

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """Every line of every log, decoded; fails when one is not JSON."""
        for path in sorted((self.data / "logs").glob("*.jsonl*")):
            for line in path.read_text().splitlines():
                yield json.loads(line)

    def stop(self) -> None:
        """Ctrl-C, and fail when a process is left."""
        if self.process is None:
            return
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"`ronda up` did not stop:\n{self.said()}") from None
        _, left = psutil.wait_procs(family, timeout=5)
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def family(self) -> list[psutil.Process]:
        """The processes of the installation, `ronda up` itself first."""
        if self.process is None or self.process.poll() is not None:
            return []
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        """The process of the sub-command `name` (hub, api, emulate)."""
        for process in self.family():
            # One that has just ended has no command line any more.
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[1:4] == ["-m", "ronda", name]:
                    return process
        raise AssertionError(f"no process {name} among {self.family()}")

    def kill(self, name: str) -> int:
        """Kill a part with -9; returns its pid."""
        victim = self.part(name)
        os.kill(victim.pid, signal.SIGKILL)
        return victim.pid

    def run(self, *arguments: str, timeout: float = 60.0) -> str:
        """A `ronda` sub-command in a process of its own: what it printed. Fails when it fails."""
        done = self._command(arguments, timeout)
        assert done.returncode == 0, f"{arguments} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def refusal(self, *arguments: str, timeout: float = 60.0) -> tuple[int, str]:
        """(exit code, the one line) with which a sub-command refuses. Fails when it does not."""
        done = self._command(arguments, timeout)
        assert done.returncode != 0, done.stdout
        [line] = done.stderr.strip().splitlines()
        return done.returncode, line

    def _command(self, arguments: tuple[str, ...], timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ronda", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment,
            cwd=self.data.parent,
            check=False,
        )

    def secrets(self) -> dict[str, Any]:
        """What the installation made for itself."""
        return json.loads((self.data / "secrets.json").read_text())

    def runtime(self) -> dict[str, Any]:
        """How its parts find each other."""
        return json.loads((self.data / "run.json").read_text())

    def http(self) -> httpx.Client:
        """An HTTP client, logged in as the first user."""
        if self._token is None:
            form = {"username": "admin", "password": self.secrets()["admin_password"]}
            answer = httpx.post(f"{self.url}/api/v1/auth/token", data=form, verify=self.tls or True)
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=self.tls or True)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON behind `path` of the API; fails on a refusal."""
        with self.http() as client:
            answer = client.get(path, params=query)
        assert answer.status_code == 200, f"{path} → {answer.status_code} {answer.text}"
        return answer.json()

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Rows straight from the database, past everything of ours."""
        import asyncio

        import asyncpg

        async def ask() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.runtime()["database_url"])
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def _answers(self, path: str) -> bool | None:
        assert self.process is not None
        assert self.process.poll() is None, f"`ronda up` ended:\n{self.said()}\n{self.errors()}"
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5, context=self.tls) as answer:
                return True if answer.status == 200 else None
        except (OSError, urllib.error.HTTPError):
            return None


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of Ronda."""
    from ronda.settings import Settings

    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours}
