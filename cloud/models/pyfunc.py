"""The model as MLflow serves it: a thin function around the JSON arrays, logged as this file. No pickle anywhere.

`mlflow.pyfunc.load_model("models:/ronda.plant-1.pump-07@champion").predict(frame)` scores a frame with one row per
reading: `measured_at_ms` and a column per metric, in the order of time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from detection.detector import Detector
from detection.model import Model

TIME_COLUMN = "measured_at_ms"
SCORE_COLUMN = "score"
ARTIFACT = "model"


class MachineModel(PythonModel):
    """Scores a machine's readings exactly as the detection agent does; 1 is the limit, NaN while the window fills."""

    def load_context(self, context: Any) -> None:
        """Read and check the arrays."""
        self._model = Model.from_bytes(Path(context.artifacts[ARTIFACT]).read_bytes())

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Scores (n rows, column `score`) of readings that follow each other; the detector starts afresh each time."""
        del context, params
        metrics = [name for name in model_input.columns if name != TIME_COLUMN]
        detector = Detector(self._model)
        detector.process(model_input[TIME_COLUMN].to_numpy(), model_input[metrics].to_numpy(dtype=float).T, metrics)
        return pd.DataFrame({SCORE_COLUMN: detector.scores}, index=model_input.index)


set_model(MachineModel())
