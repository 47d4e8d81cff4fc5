"""What is logged of a fit in MLflow: its JSON with a thin function around it and a signature. No pickle anywhere."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import msgspec

from detection.fit import Fitted

FILE = "model.json"
# What the logged function needs to run; named, so that MLflow does not import everything to find out.
REQUIREMENTS = ["mlflow-skinny==3.17.2", "msgspec", "numpy", "pandas"]


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A model's bytes, the file beside this one that serves them, and its signature."""

    name: str
    payload: bytes
    served_by: str
    signature: Any

    def log(self, run_id: str) -> str:
        """Keep it as an artifact of the run; returns its `models:/` address."""
        import mlflow

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            # MLflow asks for type hints and an input example, which would load and run the model once more.
            warnings.simplefilter("ignore")
            file = Path(folder) / FILE
            file.write_bytes(self.payload)
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.pyfunc.log_model(
                    name=self.name,
                    python_model=str(Path(__file__).with_name(self.served_by)),
                    artifacts={"model": str(file)},
                    signature=self.signature,
                    pip_requirements=REQUIREMENTS,
                )
        return str(logged.model_uri)


def detector_to_log(fitted: Fitted, payload: bytes) -> Logged:
    """A machine's model: a time and a column per metric in, a score out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # The detector scores what is there, so a metric that stopped being sent is no error.
    columns: list[Any] = [
        ColSpec("long", "measured_at_ms"),
        *(ColSpec("double", name, required=False) for name in fitted.model.metrics),
    ]
    signature = ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("double", "score")]))
    return Logged(name="detector", payload=payload, served_by="pyfunc.py", signature=signature)


def classifier_to_log(payload: bytes) -> Logged:
    """A site's fault classifier: the question and the sensors of an alarm in, the fault's name out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs: list[Any] = [ColSpec("string", "question"), ColSpec("string", "sensors")]
    signature = ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("string", "fault")]))
    return Logged(name="faults", payload=payload, served_by="faults_pyfunc.py", signature=signature)
