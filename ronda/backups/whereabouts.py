"""Where an installation keeps what a backup has to hold: below its data folder, or as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cloud.models.addresses import as_uri, backend_store, is_server
from ronda.installation import Installation, InstallationError
from ronda.mlflow.tracking import tracking
from ronda.settings import Settings, SettingsError

# The broker's password file, by its path in a data folder.
USERS = "broker/passwd"
# Of that folder: who may log in to the broker, what the parts were given, the emulated machines with their passwords
# and what they remember, the private authority, and the archives of the quarantine.
_PRIVATE_FILES = (USERS, "secrets.json")
_PRIVATE_FOLDERS = ("emulator", "tls", "quarantine")
# How a file is called that is being written, and takes the other's place a moment later.
_BEING_WRITTEN = ".new"
_REGISTRY, _ARTIFACTS = "MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACT_ROOT"


class Whereabouts(NamedTuple):
    """`registry` is MLflow's database as SQLAlchemy has it, `artifacts` the address of its files.

    An empty `database_url`: the folder's own PostgreSQL, which does not run. `passwd`: the broker's password file where
    that is not in a data folder.
    """

    installation: Installation | None
    database_url: str
    registry: str
    artifacts: str
    endpoint_url: str
    passwd: Path | None

    @property
    def private(self) -> dict[str, Path]:
        """The files that hold passwords and keys, by their path in a data folder."""
        if self.installation is None:
            return {USERS: self.passwd} if self.passwd is not None and self.passwd.exists() else {}
        root = self.installation.root
        named = [root / name for name in _PRIVATE_FILES]
        found = [path for folder in _PRIVATE_FOLDERS for path in sorted((root / folder).rglob("*"))]
        whole = [path for path in [*named, *found] if path.suffix != _BEING_WRITTEN and path.is_file()]
        return {path.relative_to(root).as_posix(): path for path in whole}


def whereabouts_of_running(settings: Settings, data: Path | None) -> Whereabouts:
    """Of what runs now. Raises: InstallationError when nothing does in `data`, SettingsError when a setting lacks."""
    installation = None if data is None else Installation(data)
    return _whereabouts(settings, installation, database_of_running(settings, data))


def database_of_running(settings: Settings, data: Path | None) -> str:
    """The address of the database of what runs now. Raises: InstallationError when nothing does in `data`."""
    installation = None if data is None else Installation(data)
    url = settings.database_url.get_secret_value()
    try:
        return installation.runtime().database_url if installation else url
    except InstallationError:
        # Parts in containers share a folder in which no `ronda up` runs.
        if not url or installation is None or not installation.root.is_dir():
            raise
        return url


def whereabouts_of_new(settings: Settings, data: Path | None) -> Whereabouts:
    """Of what shall be there. Raises: SettingsError when a setting lacks."""
    installation = None if data is None else Installation(data)
    return _whereabouts(settings, installation, settings.database_url.get_secret_value())


def _whereabouts(settings: Settings, installation: Installation | None, database_url: str) -> Whereabouts:
    registry, artifacts = tracking(settings).uri, settings.mlflow_artifact_root
    if is_server(registry):
        # Its API does not give everything away, nor take it back under the same numbers.
        registry = backend_store(settings.mlflow_backend_store_uri.get_secret_value())
        _require({_REGISTRY: registry, _ARTIFACTS: artifacts}, "as the MLflow server has it")
    if installation is None:
        _require({"DATABASE_URL": database_url, _REGISTRY: registry, _ARTIFACTS: artifacts}, "without --data")
    else:
        registry, artifacts = registry or installation.own_tracking_uri, artifacts or installation.own_artifact_root
    return Whereabouts(
        installation=installation,
        database_url=database_url,
        registry=registry,
        artifacts=as_uri(artifacts),
        endpoint_url=settings.mlflow_s3_endpoint_url,
        passwd=settings.mqtt_password_file,
    )


def _require(needed: dict[str, str], why: str) -> None:
    if missing := [name for name, value in needed.items() if not value]:
        raise SettingsError(f"{' and '.join(missing)} must be set, {why}")
