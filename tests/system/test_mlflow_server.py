"""MLflow as a server, for real: runs in PostgreSQL, artifacts in S3, and the product working as it does without."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cloud.models.artifacts import Artifacts
from cloud.models.registry import Provenance, Registry
from cloud.storage.model_versions import LeftOut
from cloud.storage.postgres import EmbeddedPostgres
from detection.fit import fit
from tests.support.machines import METRICS, healthy, times
from tests.support.mlflow import MlflowServer
from tests.support.seaweed import Seaweed, seaweed
from tests.system.conftest import Make

BUCKET = "models"


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


def test_the_life_of_a_model_is_the_same_on_a_server(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = Registry(server.url, "unused")
    made = [
        registry.register("plant-9", "fan", fit(healthy(300, seed), times(300), METRICS), Provenance(
            code_version="test", made_at_ms=seed, excluded=[LeftOut(from_ms=1, through_ms=2, why="planned work")]
        ))
        for seed in (1, 2)
    ]  # fmt: skip
    assert registry.champion("plant-9", "fan") is None
    registry.promote("plant-9", "fan", "1")
    registry.challenge("plant-9", "fan", "2")
    assert registry.champion("plant-9", "fan") == made[0]
    registry.promote("plant-9", "fan", "2")
    assert registry.champion("plant-9", "fan") == made[1]
    assert made[1].excluded[0].why == "planned work"
    for model in made:
        assert Artifacts(server.url).load(model.artifact_uri, model.sha256).rows == 300
    named = registry.register_classifier("plant-9", b"{}", {"imbalance": 2}, Provenance(code_version="t", made_at_ms=3))
    assert Artifacts(server.url).fetch(named.artifact_uri, named.sha256) == b"{}"


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
