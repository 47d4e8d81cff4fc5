"""One folder holds all that `ronda up` keeps: its plan, and what its processes must know of each other."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

import msgspec

from contract.errors import RondaError
from ronda.settings import Settings

# In the order of the chain; a test holds this to the agents' own declarations.
AGENT_NAMES = ("acquisition", "validation", "anomaly-detection", "notification", "historian")
# The parties that log in to the broker, beside the devices.
SERVICES = (*AGENT_NAMES, "web", "trainer", "operator")


class InstallationError(RondaError):
    """The folder cannot be used, or nothing runs in it; the text says what to do."""


class Secrets(msgspec.Struct, kw_only=True):
    """Made on the first run, kept with mode 600, never shipped."""

    jwt_secret: str
    admin_password: str
    api_key: str
    webhook_secret: str
    services: dict[str, str]


class Runtime(msgspec.Struct, kw_only=True):
    """What a process of a running installation needs to find the others; written by `ronda up`."""

    pid: int
    base_url: str
    http_port: int
    mqtt_host: str
    mqtt_port: int
    database_url: str
    tracking_uri: str
    artifact_root: str
    smtp_host: str
    smtp_port: int
    own_mail: bool
    broker: str
    agents: list[str]
    mqtt_url: str = ""
    # Where HTTP and, with TLS, MQTT listen; `insecure`: without TLS although others can reach it.
    listen: str = "127.0.0.1"
    insecure: bool = False
    mqtts_port: int = 8883
    tls_cert_file: str = ""
    tls_key_file: str = ""
    # The server's own certificate as PEM: what our own commands trust.
    certificate: str = ""


class Installation:
    """The data folder: where each part keeps its things."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.mail = self.root / "mail"
        self.postgres = self.root / "postgres"
        self.broker = self.root / "broker"
        self.tls = self.root / "tls"
        self.passwd = self.broker / "passwd"
        self.emulator = self.root / "emulator"
        self.fleet = self.emulator / "fleet.json"
        self.mlflow = self.root / "mlflow"
        self.quarantine = self.root / "quarantine"
        self._secrets = self.root / "secrets.json"
        self._runtime = self.root / "run.json"

    @property
    def own_tracking_uri(self) -> str:
        """MLflow without a server: a file of ours."""
        return f"sqlite:///{self.mlflow / 'mlflow.db'}"

    @property
    def own_artifact_root(self) -> str:
        """Where its artifacts are."""
        return str(self.mlflow / "artifacts")

    def create(self) -> None:
        """Make the folder, private to its owner. Raises: InstallationError in one line when that is impossible."""
        try:
            if self.root.exists() and not self._is_ours():
                raise InstallationError(
                    f"{self.root} is not empty and holds nothing of Ronda's; name another with --data"
                )
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.mail, self.broker, self.emulator, self.mlflow):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise InstallationError(
                f"cannot use the folder {self.root}: {error.strerror}; name another with --data"
            ) from error

    def _is_ours(self) -> bool:
        """Was this folder made by us, or is it empty? Anything else is somebody's own."""
        if not self.root.is_dir():
            return True  # making it will say what is wrong
        ours = {self._secrets.name, self.postgres.name, self.broker.name}
        names = {path.name for path in self.root.iterdir()}
        return not names or bool(names & ours)

    def secrets(self) -> Secrets:
        """The installation's secrets, made when asked for the first time."""
        if self._secrets.exists():
            known = msgspec.json.decode(self._secrets.read_bytes(), type=Secrets)
            missing = [name for name in SERVICES if name not in known.services]
            if not missing:
                return known
            known.services |= {name: secrets.token_urlsafe(24) for name in missing}
        else:
            known = Secrets(
                jwt_secret=secrets.token_hex(32),
                admin_password=secrets.token_urlsafe(12),
                api_key=secrets.token_urlsafe(24),
                webhook_secret=secrets.token_hex(32),
                services={name: secrets.token_urlsafe(24) for name in SERVICES},
            )
        write_private(self._secrets, msgspec.json.format(msgspec.json.encode(known)))
        return known

    def announce(self, runtime: Runtime) -> None:
        """Tell later commands how to reach what runs here."""
        write_private(self._runtime, msgspec.json.format(msgspec.json.encode(runtime)))

    def retract(self) -> None:
        """Nothing runs here any more."""
        self._runtime.unlink(missing_ok=True)

    def runtime(self) -> Runtime:
        """How to reach what runs here. Raises: InstallationError when nothing does."""
        try:
            return msgspec.json.decode(self._runtime.read_bytes(), type=Runtime)
        except (OSError, msgspec.DecodeError) as error:
            raise InstallationError(
                f"nothing runs in {self.root}; start `ronda up --data {self.root}`, or name another folder with --data"
            ) from error


def folder_of(settings: Settings, data: Path | None) -> Path | None:
    """The data folder: the one named; else `data`, or none at all where the settings name a database."""
    if data is None and not settings.database_url.get_secret_value():
        return Path("data")
    return data


def with_settings(secrets: Secrets, settings: Settings) -> Secrets:
    """The installation's secrets, with those that the administrator set in place of the made ones."""
    given = {
        "jwt_secret": settings.jwt_secret.get_secret_value(),
        "admin_password": settings.admin_password.get_secret_value(),
        "api_key": settings.api_key.get_secret_value(),
        "webhook_secret": settings.webhook_secret.get_secret_value(),
    }
    return msgspec.structs.replace(secrets, **{name: value for name, value in given.items() if value})


def service_passwords(secret: str) -> dict[str, str]:
    """Service → password on the broker, all of one secret: who knows one learns nothing of the others (RFC 2104)."""
    digests = {name: hmac.digest(secret.encode(), f"mqtt:{name}".encode(), "sha256") for name in SERVICES}
    return {name: base64.urlsafe_b64encode(digest).rstrip(b"=").decode() for name, digest in digests.items()}


def write_private(path: Path, content: bytes) -> None:
    """Replace the file at once, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
