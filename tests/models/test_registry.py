"""Trainings are runs, models are versions, `champion` is the one in force."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from cloud.models.artifacts import Artifacts
from cloud.models.registry import Provenance, Registry
from cloud.storage.model_versions import LeftOut, ModelVersion, Status
from detection.detector import Detector
from detection.fit import Fitted, fit
from detection.model import sha256
from tests.support.machines import DEVIATIONS, METRICS, START_MS, healthy, times

MADE = Provenance(code_version="0.1.0+test", made_at_ms=1_763_900_000_000)
SITE = "plant-1"


def learned(seed: int = 1) -> Fitted:
    return fit(healthy(600, seed), times(600), METRICS)


def test_a_device_without_a_model_has_no_champion(registry: Registry) -> None:
    assert registry.champion(SITE, "pump-404") is None


def crowned(registry: Registry, device: str, fitted: Fitted) -> ModelVersion:
    model = registry.register(SITE, device, fitted, MADE)
    registry.promote(SITE, device, model.version)
    return model


def test_registering_moves_no_alias_and_says_where_the_bytes_are(registry: Registry) -> None:
    fitted = learned()
    promotion = registry.register(SITE, "pump-01", fitted, MADE)
    assert (promotion.name, promotion.version) == ("ronda.plant-1.pump-01", "1")
    assert promotion.sha256 == sha256(fitted.model.to_bytes())
    assert (promotion.rows, promotion.data_hash) == (600, fitted.report.data_hash)
    assert (promotion.trained_from_ms, promotion.trained_through_ms) == (START_MS, START_MS + 599_000)
    assert promotion.created_at_ms == MADE.made_at_ms
    assert promotion.status is Status.CANDIDATE
    assert registry.champion(SITE, "pump-01") is None
    assert Artifacts().load(promotion.artifact_uri, promotion.sha256) == fitted.model


def test_the_next_training_is_the_next_version_and_promoting_moves_the_alias(registry: Registry) -> None:
    first = crowned(registry, "pump-02", learned(1))
    second = registry.register(SITE, "pump-02", learned(2), MADE)
    assert (first.version, second.version) == ("1", "2")
    assert registry.champion(SITE, "pump-02") == first
    registry.promote(SITE, "pump-02", second.version)
    assert registry.champion(SITE, "pump-02") == second


def aliases(model: ModelVersion) -> dict[str, str]:
    found = mlflow.MlflowClient().get_registered_model(model.name).aliases
    return {alias: str(version) for alias, version in found.items()}


def test_a_challenger_has_an_alias_until_it_is_promoted_or_retired(registry: Registry) -> None:
    first, second, third = (registry.register(SITE, "pump-08", learned(seed), MADE) for seed in (1, 2, 3))
    registry.promote(SITE, "pump-08", first.version)
    registry.challenge(SITE, "pump-08", second.version)
    assert aliases(first) == {"champion": "1", "challenger": "2"}
    registry.promote(SITE, "pump-08", second.version)
    assert aliases(first) == {"champion": "2"}
    registry.challenge(SITE, "pump-08", third.version)
    registry.retire(SITE, "pump-08", second.version, "another one challenges")
    assert aliases(first) == {"champion": "2", "challenger": "3"}
    registry.retire(SITE, "pump-08", third.version, "new_alarms: 9 a day")
    assert aliases(first) == {"champion": "2"}
    assert mlflow.MlflowClient().get_model_version(third.name, "3").tags["retired"] == "new_alarms: 9 a day"


def test_what_a_fit_left_out_is_told_as_far_as_a_tag_reaches(registry: Registry) -> None:
    periods = [LeftOut(from_ms=n, through_ms=n + 1, why="alarm that nobody judged") for n in range(500)]
    made = Provenance(code_version="1", made_at_ms=1, excluded=periods)
    few = Provenance(code_version="1", made_at_ms=1, excluded=periods[:2])
    assert registry.register(SITE, "pump-09", learned(), few).excluded == periods[:2]
    told = registry.register(SITE, "pump-09", learned(), made).excluded
    assert told == periods[-len(told) :]
    assert len(told) > 20


def test_champions_lists_every_device_once(registry: Registry) -> None:
    made = {registry.register("plant-2", f"fan-{number}", learned(), MADE).name for number in range(3)}
    for number in range(3):
        registry.promote("plant-2", f"fan-{number}", "1")
    registry.register("plant-2", "fan-9", learned(), MADE)
    found = [champion.name for champion in registry.champions()]
    assert made <= set(found)
    assert "ronda.plant-2.fan-9" not in found
    assert found == sorted(set(found))


def test_a_run_says_what_was_learned_from_with_what_and_how_well(registry: Registry) -> None:
    fitted = learned()
    promotion = registry.register(SITE, "pump-03", fitted, MADE)
    run = mlflow.MlflowClient().get_run(promotion.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["sensitivity"] == "2.5"
    assert run.data.metrics["rows"] == 600
    assert run.data.metrics["exceedance"] == fitted.report.exceedance
    for key in ("data_hash", "sha256", "trained_from_ms", "trained_through_ms", "code_version"):
        assert run.data.tags[key]
    assert run.data.tags["code_version"] == "0.1.0+test"


def test_the_pyfunc_gives_the_scores_that_the_agent_computes(registry: Registry) -> None:
    fitted = learned()
    promotion = crowned(registry, "pump-04", fitted)
    values = healthy(900)[600:]
    values[100:, 1] += 8 * DEVIATIONS[1]
    frame = pd.DataFrame(values, columns=METRICS)
    frame["measured_at_ms"] = times(900)[600:]
    served = mlflow.pyfunc.load_model(f"models:/{promotion.name}@champion")
    detector = Detector(fitted.model)
    detector.process(times(900)[600:], values.T, METRICS)
    np.testing.assert_array_equal(served.predict(frame)["score"].to_numpy(), detector.scores)
    assert np.nanmax(detector.scores) > 1
    assert not np.isnan(served.predict(frame.drop(columns=["pressure_bar"]))["score"][50:]).any()


def test_no_pickle_is_logged(registry: Registry) -> None:
    promotion = crowned(registry, "pump-05", learned())
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{promotion.name}@champion"))
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    assert names >= {"MLmodel", "model.json", "pyfunc.py"}
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".skops"))}


def test_registering_is_silent(
    registry: Registry, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    registry.register(SITE, "pump-06", learned(), MADE)
    capfd.readouterr()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        registry.register(SITE, "pump-06", learned(), MADE)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_second_process_finds_what_the_first_registered(registry: Registry) -> None:
    promotion = crowned(registry, "pump-07", learned())
    again = Registry(registry._link._tracking_uri, "unused")
    assert again.champion(SITE, "pump-07") == promotion


def test_loading_a_model_imports_no_mlflow() -> None:
    program = "import sys, cloud.models.artifacts; print('mlflow' in sys.modules, 'boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_trainer_looks_nowhere_but_at_its_database(tmp_path: Path) -> None:
    """With every socket forbidden, a training still succeeds."""
    program = f"""
import socket
def refuse(*_): raise AssertionError("the trainer tried the network")
socket.socket.connect = socket.getaddrinfo = refuse
from cloud.models.registry import Provenance, Registry
from detection.fit import fit
from tests.support.machines import METRICS, healthy, times
registry = Registry("sqlite:///{tmp_path}/mlflow.db", "{tmp_path}/artifacts")
made_by = Provenance(code_version="1", made_at_ms=1)
made = registry.register("a", "b", fit(healthy(300), times(300), METRICS), made_by)
print(made.name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "ronda.a.b", done.stderr
    assert "network" not in done.stderr


def test_two_registries_of_one_process_do_not_mix(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    other = Registry(f"sqlite:///{tmp_path / 'other.db'}", str(tmp_path / "artifacts"))
    crowned(other, "pump-91", learned())
    crowned(registry, "pump-92", learned())
    crowned(other, "pump-93", learned())
    assert [each.device for each in other.champions()] == ["pump-91", "pump-93"]
    assert registry.champion(SITE, "pump-91") is None
    assert "MLFLOW_TRACKING_URI" not in os.environ
