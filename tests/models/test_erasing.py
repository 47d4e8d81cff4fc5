"""A device that is erased has no model, no run and no bytes in MLflow; another one has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import pytest

from cloud.models.artifacts import Artifacts
from cloud.models.erasing import erase_models
from cloud.models.registry import Registry
from tests.models.test_registry import SITE, crowned, learned


@pytest.fixture
def addresses(tmp_path: Path) -> tuple[str, str]:
    return f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts")


def test_models_runs_and_bytes_are_gone_and_those_of_the_others_stay(addresses: tuple[str, str]) -> None:
    registry = Registry(*addresses)
    first, second = (crowned(registry, "pump-01", learned(seed)) for seed in (1, 2))
    other = crowned(registry, "pump-02", learned(3))
    assert erase_models(*addresses, SITE, "pump-01") == 2
    assert registry.champion(SITE, "pump-01") is None
    for model in (first, second):
        path = Path(unquote(urlsplit(model.artifact_uri).path))
        assert not path.exists()
    client = mlflow.MlflowClient(addresses[0], addresses[0])
    assert [client.get_run(model.run_id).info.lifecycle_stage for model in (first, second)] == ["deleted"] * 2
    assert registry.champion(SITE, "pump-02") == other
    assert Artifacts().load(other.artifact_uri, other.sha256)
    assert erase_models(*addresses, SITE, "pump-01") == 0


def test_a_device_without_a_model_has_nothing_to_erase(addresses: tuple[str, str]) -> None:
    assert erase_models(*addresses, SITE, "pump-404") == 0
