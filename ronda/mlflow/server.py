"""`ronda mlflow`: MLflow's own server on the database and the store that the settings name, in two processes.

Our process becomes MLflow's (exec), which starts one worker. Secrets go by the environment, since anybody on the
machine may read a command line. Artifacts pass through the server, so that its clients need neither S3 nor its keys.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from cloud.models.addresses import as_uri, backend_store
from cloud.models.environment import QUIET
from cloud.models.object_store import ObjectStore
from contract.errors import TransientError
from ronda.guards import check_port
from ronda.installation import Installation
from ronda.mlflow.database import ensure_database
from ronda.parts import tell_libraries
from ronda.processes import FOLLOW
from ronda.settings import Settings, load_settings
from ronda.tls.listening import check_plain

# The job runner and MLflow's four workers are ten processes and 950 MB; nothing of ours asks them for anything.
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
_WORKERS = 1
# Each line as JSON, as everywhere here.
_LOG_CONFIG = Path(__file__).with_name("logs.json")
# What a client is told; the server itself is no client of any.
_NOT_FOR_A_SERVER = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")
# The names by which this machine asks itself, as health checks do.
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


def run_mlflow(data: Path, host: str, port: int, say: Callable[[str], None], *, insecure: bool) -> NoReturn:
    """Check what is needed, and become the server. Raises: RondaError with one line that says what to mend."""
    settings = load_settings("mlflow")
    if warning := check_plain("--host", host, insecure=insecure):
        say(f"note: {warning}")
    check_port(host, port, "--port")
    tell_libraries(settings)
    backend, artifacts = _places(settings, data)
    asyncio.run(ensure_database(backend))
    _check_store(artifacts, settings, say)
    say(f"MLflow starts on http://{host}:{port}, artifacts in {artifacts}")
    arguments = ["server", "--host", host, "--port", str(port), "--workers", str(_WORKERS)]
    arguments += ["--uvicorn-opts", f"--log-config '{_LOG_CONFIG}'"]
    sys.stdout.flush()
    environment = server_environment(os.environ, backend, artifacts, settings.mlflow_allowed_hosts)
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)  # noqa: S606  # our own interpreter


def server_environment(ours: Mapping[str, str], backend: str, artifacts: str, allowed_hosts: str) -> dict[str, str]:
    """What MLflow's server reads. `allowed_hosts` are the names by which others ask it, separated by commas."""
    inherited = {name: value for name, value in ours.items() if name not in _NOT_FOR_A_SERVER}
    # The worker ends with us, however we end: exec keeps the process id.
    follow = {FOLLOW: str(os.getpid())}
    stores = {"MLFLOW_BACKEND_STORE_URI": backend, "MLFLOW_ARTIFACTS_DESTINATION": artifacts}
    hosts = {"MLFLOW_SERVER_ALLOWED_HOSTS": names} if (names := _names(allowed_hosts)) else {}
    return inherited | QUIET | _LEAN | follow | stores | hosts


def _places(settings: Settings, data: Path) -> tuple[str, str]:
    """(database, artifacts): as the settings say, each by default in the data folder."""
    installation = Installation(data)
    backend = settings.mlflow_backend_store_uri.get_secret_value()
    artifacts = settings.mlflow_artifact_root
    if not backend or not artifacts:
        installation.create()
    return (
        backend_store(backend) or installation.own_tracking_uri,
        as_uri(artifacts or installation.own_artifact_root),
    )


def _check_store(artifacts: str, settings: Settings, say: Callable[[str], None]) -> None:
    """Wrong keys are said now, rather than by the first training; a store that is only away may come yet."""
    if not artifacts.startswith("s3://"):
        return
    try:
        ObjectStore(artifacts, settings.mlflow_s3_endpoint_url).check()
    except TransientError as error:
        say(f"note: {error}; runs are kept, artifacts once it is back")


def _names(allowed: str) -> str:
    """With a port and without one, as a `Host` header may have it; empty leaves MLflow's own rule, private networks."""
    given = [name.strip() for name in allowed.split(",") if name.strip()]
    wanted = [*given, *_OWN_NAMES] if given else []
    return ",".join(spelled for name in wanted for spelled in (name, f"{name}:*"))
