"""MLflow as a server, for real: runs in PostgreSQL, artifacts in S3, and the product working as it does without."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cloud.storage.postgres import EmbeddedPostgres
from tests.support.installation import clean_environment, until
from tests.support.ports import free_port
from tests.support.seaweed import Seaweed, seaweed
from tests.system.conftest import Make

BUCKET = "models"


class MlflowServer:
    """`ronda mlflow` in a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str], name: str = "mlflow") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = folder / f"{name}.out"
        self._folder = folder
        self._environment = clean_environment() | environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> MlflowServer:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ronda", "mlflow", "--port", str(self.port), "--data", "unused"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment, cwd=self._folder,
            )  # fmt: skip
        until(self._healthy, lambda: f"MLflow; it said:\n{self.said()}", 60)
        return self

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=15)
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def killed(self) -> None:
        """With -9: the worker must not live on."""
        family = self.family()
        family[0].kill()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def refused(self) -> str:
        """What it says when it ends at once."""
        done = subprocess.run(
            [sys.executable, "-m", "ronda", "mlflow", "--port", str(self.port), "--data", "unused"],
            capture_output=True, text=True, timeout=60, env=self._environment, cwd=self._folder, check=False,
        )  # fmt: skip
        assert done.returncode != 0, done.stdout
        [line] = done.stderr.strip().splitlines()
        return line

    def _healthy(self) -> bool | None:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return True if answer.status == 200 else None
        except OSError:
            return None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("seaweed"), BUCKET) as running:
        yield running


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    yield asyncio.run(server.start())
    asyncio.run(server.stop())


@pytest.fixture(scope="module")
def settings(store: Seaweed, postgres: str) -> dict[str, str]:
    """What the server is told; its database does not exist yet."""
    return store.environment | {
        "MLFLOW_BACKEND_STORE_URI": f"{postgres.rpartition('/')[0]}/mlflow",
        "MLFLOW_ARTIFACT_ROOT": f"s3://{BUCKET}/plant",
        "MLFLOW_ALLOWED_HOSTS": "mlflow, mlflow.plant.example",
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("mlflow"), settings).start()
    yield running
    running.stop()


def test_it_is_two_processes_on_the_loopback_without_a_secret_on_a_command_line(
    server: MlflowServer, settings: dict[str, str]
) -> None:
    family = server.family()
    assert len(family) == 2, family
    lines = " ".join(word for process in family for word in process.cmdline())
    for secret in (settings["AWS_SECRET_ACCESS_KEY"], settings["MLFLOW_BACKEND_STORE_URI"]):
        assert secret not in lines
    addresses = {each.laddr.ip for process in family for each in process.net_connections() if each.status == "LISTEN"}
    assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("host", "status"),
    [("mlflow", 404), ("mlflow:5000", 404), ("mlflow.plant.example", 404), ("localhost", 404), ("evil.example", 403)],
)
def test_it_answers_to_its_own_names_only(server: MlflowServer, host: str, status: int) -> None:
    url = f"{server.url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=none"
    assert httpx.get(url, headers={"Host": host}).status_code == status


def test_the_product_works_with_it_as_without(server: MlflowServer, store: Seaweed, make_ronda: Make) -> None:
    """Trained, promoted, loaded by the agent, which has no keys of the store; and nothing stops when it dies."""
    ronda = make_ronda("--devices", "1", environment={"MLFLOW_TRACKING_URI": server.url}).start()
    ronda.until_ready()
    models = [row[0] for row in ronda.sql("SELECT artifact_uri FROM promotions ORDER BY artifact_uri")]
    assert len(models) >= 2
    keys = store.keys(BUCKET)
    for uri in models:
        assert uri.startswith("mlflow-artifacts:/")
        assert f"plant/{uri.removeprefix('mlflow-artifacts:/').lstrip('/')}" in keys
    assert not (ronda.data / "mlflow" / "mlflow.db").exists()
    loaded = [line["asset"] for line in ronda.log_lines() if line["event"] == "model.loaded"]
    assert "plant-1/pump-01" in loaded

    server.killed()
    assert httpx.get(f"{ronda.url}/readyz", timeout=10).status_code == 200, "a loaded model judges on"
    code, line = ronda.refusal("train", "plant-1/pump-01", "--data", str(ronda.data))
    assert code == os.EX_TEMPFAIL
    assert f"MLflow at 127.0.0.1:{server.port} is away" in line


def test_it_says_in_one_line_what_to_mend(tmp_path: Path, settings: dict[str, str]) -> None:
    line = MlflowServer(tmp_path, settings | {"AWS_SECRET_ACCESS_KEY": "guessed"}).refused()
    assert "AWS_SECRET_ACCESS_KEY is not the secret of this key" in line
