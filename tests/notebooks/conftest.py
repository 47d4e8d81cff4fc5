"""Each notebook, executed once on the data folder, with what it left behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notebooks.execute import execute
from notebooks.record import RESULTS
from tests.support.datasets import datasets

# As small as the bounds allow: `make notebooks` takes five repeats, four times as many permutations and pumps, whole
# weeks of a larger fleet.
QUICK: dict[str, dict[str, int]] = {
    "01_healthy_baseline": {"step": 750, "pumps": 4},
    "02_detector_on_skab": {"draws": 300},
    "05_classification_benchmark": {"repeats": 1, "permutations": 5, "draws": 50, "splits": 6},
    "08_pump_classification": {"train_pumps": 8, "test_pumps": 8},
    "09_fleet_simulation": {"assets": 3, "days": 1, "each": 1, "first_seed": 4},
}


class Execution:
    """One notebook's run: its `results`, its executed copy and the MLflow database that it logged to."""

    def __init__(self, executed: Path, tracking_uri: str) -> None:
        self.executed, self.tracking_uri = executed, tracking_uri
        self.results: dict[str, Any] = msgspec.json.decode((executed.parent / RESULTS).read_bytes())

    @property
    def figures(self) -> dict[str, Any]:
        return self.results["figures"]


Run = Callable[[str], Execution]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("notebooks")
    tracking_uri = f"sqlite:///{root / 'mlflow.db'}"

    @cache
    def once(name: str) -> Execution:
        parameters = {"datasets": str(datasets()), "tracking_uri": tracking_uri} | QUICK[name]
        return Execution(execute(name, root / name, parameters), tracking_uri)

    return once
