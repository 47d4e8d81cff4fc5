"""The fault classifier as MLflow serves it: a thin function around the JSON, logged as this file. No pickle anywhere.

`mlflow.pyfunc.load_model("models:/ronda-faults.plant-1@champion").predict(frame)` names the fault of each alarm of a
frame: `question` as the event's evidence has it, `sensors` its sensors as JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from detection.classifier import Classifier
from detection.explain import Findings, Sensor
from detection.kinds import Kind


class FaultNames(PythonModel):
    """Names what an alarm looks like, `unknown` when it looks like nothing known."""

    def load_context(self, context: Any) -> None:
        """Read and check the signatures."""
        self._classifier = Classifier.from_bytes(Path(context.artifacts["model"]).read_bytes())

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The fault (n rows, column `fault`) of n alarms."""
        del context, params
        pairs = zip(model_input["question"], model_input["sensors"], strict=True)
        return pd.DataFrame({"fault": [self._name(*pair) for pair in pairs]}, index=model_input.index)

    def _name(self, question: str, sensors: str) -> str:
        found = Findings(
            kind=Kind(question), sensors=msgspec.json.decode(sensors, type=list[Sensor]), window_ms=[], window={}
        )
        return self._classifier.name(found).fault


set_model(FaultNames())
