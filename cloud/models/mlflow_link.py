"""The link to MLflow: opened once, with our patience, and every failure told apart.

Imported by the trainer's process alone: MLflow costs a second and 100 MB or more.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from cloud.models.addresses import as_uri, backend_store, is_server
from cloud.models.environment import PATIENCE, QUIET
from cloud.models.failures import RegistryError, told_apart

EXPERIMENT = "ronda"
_ENVIRONMENT = "MLFLOW_TRACKING_URI"
_CONNECT_WITHIN_S = 10
_NO_SUCH_ALIAS = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


class Link:
    """A tracking server, or its database opened in this process; `client` is MLflow's own."""

    def __init__(self, tracking_uri: str, artifact_root: str) -> None:
        self._tracking_uri = backend_store(tracking_uri)
        # MLflow writes a plain path into its database as it is; one that depends on the working directory is lost.
        self._artifact_root = None if is_server(tracking_uri) else as_uri(artifact_root)
        self.client: Any = None
        self._experiment = ""

    def prepare(self) -> None:
        """Import MLflow and create its database where there is none (seconds): call early, beside everything else."""
        if self.client is not None:
            return
        mlflow = quiet_mlflow()
        with self.told_apart():
            _reach_database(self._tracking_uri)
            client = mlflow.MlflowClient(self._tracking_uri, self._tracking_uri)
            self._experiment = self._ensure_experiment(client)
        self.client = client

    def new_run(
        self, at_ms: int, tags: Mapping[str, str], measures: Mapping[str, float], params: Mapping[str, object]
    ) -> str:
        """A finished run of our experiment; returns its id."""
        from mlflow.entities import Metric, Param, RunTag

        run_id: str = self.client.create_run(self._experiment, start_time=at_ms).info.run_id
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, at_ms, 0) for key, value in measures.items()],
            params=[Param(key, str(value)) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        return run_id

    def holder(self, name: str, alias: str) -> Any:
        """The version that has this alias, or None."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in _NO_SUCH_ALIAS:
                return None
            raise

    def take_away(self, name: str, alias: str, version: str) -> None:
        """The alias from this version, unless another has it or none."""
        holder = self.holder(name, alias)
        if holder is not None and str(holder.version) == version:
            self.client.delete_registered_model_alias(name, alias)

    def ensure_registered(self, name: str) -> None:
        """The registered model, made where there is none."""
        with _unless_it_exists():
            self.client.create_registered_model(name)

    @contextlib.contextmanager
    def meant(self) -> Iterator[None]:
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

    def told_apart(self) -> AbstractContextManager[None]:
        """Raises: TransientError, RegistryError in place of what MLflow raises."""
        return told_apart(self._tracking_uri)

    def _ensure_experiment(self, client: Any) -> str:
        """The id of ours; of two trainers that make it at once, the second finds it made."""
        for _ in range(2):
            if known := client.get_experiment_by_name(EXPERIMENT):
                return str(known.experiment_id)
            with _unless_it_exists():
                return str(client.create_experiment(EXPERIMENT, self._artifact_root))
        raise RegistryError(f"the experiment {EXPERIMENT!r} was deleted in MLflow: restore it there")


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
