"""What one execution of a notebook found: its figures as a file, and as a run in MLflow with the data's checksum."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from notebooks.sources import ROOT, sha256

EXPERIMENT = "ronda-notebooks"
RESULTS = "results.json"
_VERSIONS = ("ronda", "numpy", "scikit-learn", "lightgbm", "pandas", "matplotlib", "mlflow")
# No telemetry, no progress bars, no search for a git binary: a notebook in a test has no network and no terminal.
_QUIET = {
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Record:
    """One execution of `notebook` on `files` of the data folder `folder`; its output goes to the folder `output`."""

    def __init__(
        self,
        notebook: str,
        *,
        folder: Path,
        files: Sequence[Path],
        output: str = "",
        tracking_uri: str = "",
        parameters: Mapping[str, object],
    ) -> None:
        self.data_sha256 = sha256(files, folder)
        self.figures: dict[str, Any] = {}
        self._notebook, self._files = notebook, [file.relative_to(folder).as_posix() for file in files]
        self._output = Path(output) if output else ROOT / "mlruns" / notebook
        self._tracking_uri, self._parameters = tracking_uri, dict(parameters)
        self._attached: dict[str, bytes] = {}

    def note(self, **figures: Any) -> None:
        """Write down what was found: numbers, texts, and tables of these by name; names become words_like_these."""
        self.figures |= _named(figures)

    def attach(self, name: str, content: bytes) -> None:
        """Keep a small file with the run, such as a model."""
        self._attached[name] = content

    def finish(self, at: datetime) -> Path:
        """Write the figures down as `results.json` and log the run; returns that file."""
        self._output.mkdir(parents=True, exist_ok=True)
        for name, content in self._attached.items():
            (self._output / name).write_bytes(content)
        file = self._output / RESULTS
        facts = {
            "notebook": self._notebook,
            "made_at": at.isoformat(timespec="seconds"),
            "data": {"files": self._files, "sha256": self.data_sha256},
            "versions": {"python": platform.python_version()} | {name: version(name) for name in _VERSIONS},
            "parameters": self._parameters,
            "figures": self.figures,
        }
        file.write_bytes(msgspec.json.format(msgspec.json.encode(facts, order="sorted", enc_hook=float), indent=2))
        self._log(file)
        return file

    def _log(self, file: Path) -> None:
        os.environ.update({key: os.environ.get(key, value) for key, value in _QUIET.items()})
        import mlflow

        tracking_uri = self._tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _own(self._output.parent)
        mlflow.set_tracking_uri(tracking_uri)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, _artifacts(tracking_uri, self._output.parent))
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=self._notebook):
            mlflow.log_params(self._parameters | {"data_files": len(self._files)})
            mlflow.set_tags(
                {"data_sha256": self.data_sha256, "mlflow.source.name": f"notebooks/{self._notebook}.ipynb"}
            )
            mlflow.log_metrics(dict(_numbers("", self.figures)))
            for artifact in (file, *(self._output / name for name in self._attached)):
                mlflow.log_artifact(str(artifact))


def _named(figures: Mapping[str, Any]) -> dict[str, Any]:
    """MLflow takes no brackets or commas in a name, and a table of results is easier to ask without them."""
    return {
        re.sub(r"\W+", "_", name).strip("_"): _named(value) if isinstance(value, Mapping) else value
        for name, value in figures.items()
    }


def _own(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _artifacts(tracking_uri: str, folder: Path) -> str | None:
    """A server says where artifacts go; beside a database file MLflow would take the working directory."""
    return (folder / "artifacts").resolve().as_uri() if tracking_uri.startswith("sqlite:") else None


def _numbers(prefix: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number with its path, such as `forest.ap`."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{prefix}{name}.", value)
        elif not isinstance(value, str | Sequence) and value is not None:
            yield f"{prefix}{name}", float(value)
