"""The parts as `render.yaml` starts them, each knowing nothing but its variables: a reading gets through."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.test_render import OURS, variables
from tests.support.database import embedded
from tests.support.installation import clean_environment, until
from tests.support.ports import free_port

PARTS = ("ronda-broker", "ronda-agents", "ronda")


class Host:
    """Hands out variables as the Blueprint says, and starts its very commands on free ports of this machine."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.http_port, self.mqtt_port, self.metrics_port = free_port(), free_port(), free_port()
        self._database_url = database_url
        self._made: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> None:
        service = OURS[name]
        given = {key: self._value(key, entry) for key, entry in variables(service).items()}
        given |= {"METRICS_PORT": str(self.metrics_port)} if name == "ronda-agents" else {}
        # As in the image, the command is found on the path.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (self.folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                shlex.split(self._here(service["dockerCommand"])), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, cwd=self.folder,
                env=clean_environment() | {key: value for key, value in given.items() if value} | {"PATH": path},
            )  # fmt: skip
        self._processes.append(process)

    def stop(self) -> list[int]:
        """The exit codes, in the order in which the parts were started."""
        for process in reversed(self._processes):
            process.terminate()
        return [process.wait(20) for process in self._processes]

    def made(self, key: str) -> str:
        """A value that the host makes: the same for all who share it."""
        return self._made.setdefault(key, secrets.token_urlsafe(32))

    def said(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in self.folder.glob("*.out"))

    def _value(self, key: str, entry: dict[str, Any]) -> str:
        if "fromDatabase" in entry:
            return self._database_url
        if "fromService" in entry:
            # Neither Redis nor MLflow is needed for a reading's way.
            return f"127.0.0.1:{self.mqtt_port}" if key == "BROKER" else "127.0.0.1:9" if key == "MLFLOW" else ""
        return self.made(key) if entry.get("generateValue") else str(entry.get("value", ""))

    def _here(self, command: str) -> str:
        return (
            command.replace("ronda api ", f"ronda api --http-port {self.http_port} ")
            .replace("--mqtt-port 1883", f"--mqtt-port {self.mqtt_port}")
            .replace("/var/lib/ronda", str(self.folder))
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    for url in embedded(tmp_path / "postgres"):
        running = Host(tmp_path, url)
        try:
            for name in PARTS:
                running.start(name)
            yield running
        finally:
            assert running.stop() == [0] * len(PARTS)


def test_a_reading_that_is_posted_is_stored_by_agents_that_share_one_process(host: Host) -> None:
    url = f"http://127.0.0.1:{host.http_port}"

    def post() -> int | None:
        reading = {"site": "plant-1", "device": "press-1", "ts": int(time.time() * 1000), "values": {"a": 1.0}}
        try:
            answer = httpx.post(
                f"{url}/api/v1/ingest?wait=stored",
                json=reading,
                headers={"X-API-Key": host.made("API_KEY")},
                timeout=20,
            )
        except httpx.HTTPError:
            return None
        return 201 if answer.status_code == 201 else None

    assert until(post, host.said, 60) == 201
    page = httpx.get(f"http://127.0.0.1:{host.metrics_port}/metrics", timeout=10).text
    at_work = [line for line in page.splitlines() if line.startswith("ronda_agent_up{") and line.endswith(" 1.0")]
    assert len(at_work) == 5
