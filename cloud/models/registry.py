"""The MLflow registry: each training is a run, each model a version, `champion` the one in force.

Imported by the trainer's process alone: MLflow costs a second and 100 MB or more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from cloud.models.addresses import as_uri, backend_store, is_server
from cloud.models.environment import PATIENCE, QUIET
from cloud.models.failures import RegistryError, told_apart
from cloud.storage.promotions import Promotion
from detection.fit import Fitted
from detection.model import sha256

CHAMPION = "champion"
EXPERIMENT = "ronda"
# What the logged function needs to run; named, so that MLflow does not import everything to find out.
REQUIREMENTS = ["mlflow-skinny==3.17.2", "msgspec", "numpy", "pandas"]
_FILE = "model.json"
_ENVIRONMENT = "MLFLOW_TRACKING_URI"
_CONNECT_WITHIN_S = 10


def registered_name(site: str, device: str) -> str:
    """The device's name in the registry; neither part can hold a '.', so it splits again."""
    return f"ronda.{site}.{device}"


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a model: the program's version and our time of promotion."""

    code_version: str
    promoted_at_ms: int


class Registry:
    """Registers models and knows the champions.

    `tracking_uri` is a server, or a database that is opened in this process; `artifact_root` a folder or address for
    the latter, since a server decides by itself where it keeps what it is given. Raises everywhere: TransientError when
    one of them is away, RegistryError when it refuses us.
    """

    def __init__(self, tracking_uri: str, artifact_root: str) -> None:
        self._tracking_uri = backend_store(tracking_uri)
        # MLflow writes a plain path into its database as it is; one that depends on the working directory is lost.
        self._artifact_root = None if is_server(tracking_uri) else as_uri(artifact_root)
        self._client: Any = None
        self._experiment = ""

    def prepare(self) -> None:
        """Import MLflow and create its database where there is none (seconds): call early, beside everything else."""
        if self._client is not None:
            return
        mlflow = quiet_mlflow()
        with self._told_apart():
            _reach_database(self._tracking_uri)
            client = mlflow.MlflowClient(self._tracking_uri, self._tracking_uri)
            self._experiment = self._ensure_experiment(client)
        self._client = client

    def register(self, site: str, device: str, fitted: Fitted, provenance: Provenance) -> Promotion:
        """Log the training as a run, register its model as the device's next version and make it the champion."""
        self.prepare()
        payload = fitted.model.to_bytes()
        checksum = sha256(payload)
        facts = _facts(fitted, checksum, provenance)
        with self._told_apart():
            run_id = self._run(site, device, fitted, facts)
            with self._meant():
                model_uri = _log_model(run_id, payload, fitted.model.metrics)
            name = registered_name(site, device)
            self._ensure_registered(name)
            # A server takes a version only of the model that it is told of by id, too.
            model_id = model_uri.removeprefix("models:/")
            version = self._client.create_model_version(name, model_uri, run_id, tags=facts, model_id=model_id)
            self._client.set_registered_model_alias(name, CHAMPION, version.version)
            return self._champion(site, device, version)

    def champion(self, site: str, device: str) -> Promotion | None:
        """The device's model in force; None when it has none."""
        self.prepare()
        from mlflow.exceptions import MlflowException

        with self._told_apart():
            try:
                version = self._client.get_model_version_by_alias(registered_name(site, device), CHAMPION)
            except MlflowException as error:
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise
            return self._champion(site, device, version)

    def champions(self) -> list[Promotion]:
        """Every device's model in force, by site and device."""
        self.prepare()
        found, token = [], None
        while True:
            with self._told_apart():
                page = self._client.search_registered_models("name LIKE 'ronda.%'", page_token=token)
            addresses = [tuple(model.name.split(".")[1:]) for model in page]
            found += [self.champion(*address) for address in addresses if len(address) == 2]
            token = page.token
            if not token:
                break
        return sorted(filter(None, found), key=lambda champion: (champion.site, champion.device))

    def run_status(self, run_id: str) -> str:
        """The run's state as MLflow names it, such as `FINISHED`; empty when it knows no such run."""
        self.prepare()
        from mlflow.exceptions import MlflowException

        with self._told_apart():
            try:
                return str(self._client.get_run(run_id).info.status)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return ""
                raise

    def _run(self, site: str, device: str, fitted: Fitted, facts: dict[str, str]) -> str:
        from mlflow.entities import Metric, Param, RunTag

        tags = {
            "mlflow.runName": f"{site}/{device}",
            "mlflow.source.name": "ronda train",
            "site": site,
            "device": device,
        }
        tags |= facts | {"excluded": msgspec.json.encode(fitted.report.excluded).decode()}
        at_ms = int(facts["promoted_at_ms"])
        run_id: str = self._client.create_run(self._experiment, start_time=at_ms).info.run_id
        settings = msgspec.structs.asdict(fitted.model.settings)
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, value, at_ms, 0) for key, value in _measures(fitted).items()],
            params=[Param(key, str(value)) for key, value in settings.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        return run_id

    def _ensure_experiment(self, client: Any) -> str:
        """The id of ours; of two trainers that make it at once, the second finds it made."""
        for _ in range(2):
            if known := client.get_experiment_by_name(EXPERIMENT):
                return str(known.experiment_id)
            with _unless_it_exists():
                return str(client.create_experiment(EXPERIMENT, self._artifact_root))
        raise RegistryError(f"the experiment {EXPERIMENT!r} was deleted in MLflow: restore it there")

    def _ensure_registered(self, name: str) -> None:
        with _unless_it_exists():
            self._client.create_registered_model(name)

    @contextlib.contextmanager
    def _meant(self) -> Iterator[None]:
        """Logging a model asks the process which registry is meant, and leaves the answer in the environment."""
        import mlflow

        before = os.environ.get(_ENVIRONMENT)
        mlflow.set_tracking_uri(self._tracking_uri)
        try:
            yield
        finally:
            # Settings are read from there: another registry of this process, or a child, must not inherit ours.
            os.environ.pop(_ENVIRONMENT, None)
            if before is not None:
                os.environ[_ENVIRONMENT] = before

    def _told_apart(self) -> AbstractContextManager[None]:
        return told_apart(self._tracking_uri)

    def _champion(self, site: str, device: str, version: Any) -> Promotion:
        folder = self._client.get_model_version_download_uri(version.name, version.version)
        facts = version.tags
        return Promotion(
            site=site,
            device=device,
            name=version.name,
            version=str(version.version),
            run_id=version.run_id,
            sha256=facts["sha256"],
            artifact_uri=f"{folder}/artifacts/{_FILE}",
            data_hash=facts["data_hash"],
            rows=int(facts["rows"]),
            trained_from_ms=int(facts["trained_from_ms"]),
            trained_through_ms=int(facts["trained_through_ms"]),
            promoted_at_ms=int(facts["promoted_at_ms"]),
        )


def _reach_database(uri: str) -> None:
    """Connect once to a PostgreSQL, since MLflow would try for two minutes."""
    if not uri.startswith("postgresql"):
        return
    from sqlalchemy import create_engine

    engine = create_engine(uri, connect_args={"connect_timeout": _CONNECT_WITHIN_S})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextlib.contextmanager
def _unless_it_exists() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def quiet_mlflow() -> Any:
    """MLflow, imported (seconds), with its telemetry and chatter off and our patience."""
    for key, value in (QUIET | PATIENCE).items():
        os.environ.setdefault(key, value)
    import mlflow

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return mlflow


def _facts(fitted: Fitted, checksum: str, provenance: Provenance) -> dict[str, str]:
    """What run and version both carry, so that a champion can be told from its version alone."""
    report = fitted.report
    return {
        "sha256": checksum,
        "data_hash": report.data_hash,
        "rows": str(report.rows),
        "trained_from_ms": str(report.trained_from_ms),
        "trained_through_ms": str(report.trained_through_ms),
        "promoted_at_ms": str(provenance.promoted_at_ms),
        "code_version": provenance.code_version,
    }


def _measures(fitted: Fitted) -> dict[str, float]:
    report = fitted.report
    measures = {
        "rows": report.rows,
        "channels": report.channels,
        "drifting_channels": len(report.drifting),
        "cadence_ms": report.cadence_ms,
        "largest_healthy_distance": report.largest,
    }
    return measures if report.exceedance is None else measures | {"exceedance": report.exceedance}


def _log_model(run_id: str, payload: bytes, metrics: list[str]) -> str:
    """The JSON with the thin function around it, as an artifact of the run; returns its `models:/` address."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # The detector scores what is there, so a metric that stopped being sent is no error.
    columns: list[Any] = [
        ColSpec("long", "measured_at_ms"),
        *(ColSpec("double", name, required=False) for name in metrics),
    ]
    signature = ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("double", "score")]))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # MLflow asks for type hints and an input example, which would load and run the model once more.
        warnings.simplefilter("ignore")
        file = Path(folder) / _FILE
        file.write_bytes(payload)
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="detector",
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"model": str(file)},
                signature=signature,
                pip_requirements=REQUIREMENTS,
            )
    return str(logged.model_uri)
