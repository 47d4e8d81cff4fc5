"""What a process needs of the installation around it: from a running `ronda up`, or from the settings alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

from broker.address import MqttAddress
from ronda.installation import AGENT_NAMES, Installation, Runtime, Secrets, with_settings
from ronda.logs import set_up_logs
from ronda.settings import Settings, SettingsError, load_settings


def clock_ms() -> float:
    """UTC epoch milliseconds."""
    return time.time() * 1000


class Surroundings:
    """Settings, secrets and addresses, as one process sees them."""

    def __init__(self, process: str, data: Path | None) -> None:
        self.settings = load_settings()
        self.installation = None if data is None else Installation(data)
        # First of all, so that a mistyped folder is not made.
        self.runtime = _runtime_of(self.settings) if self.installation is None else self.installation.runtime()
        set_up_logs(process, self.settings.log_level, self.installation.logs if self.installation else None)
        secrets = _no_secrets() if self.installation is None else self.installation.secrets()
        self.secrets = with_settings(secrets, self.settings)
        _tell_libraries(self.settings)
        if self.installation is not None:
            # Its cache of fonts belongs to the installation, whatever the home folder allows.
            os.environ.setdefault("MPLCONFIGDIR", str(self.installation.root / "matplotlib"))

    def mqtt(self, service: str) -> MqttAddress:
        """Where the broker is, and as whom this service speaks to it."""
        if self.runtime.mqtt_url:
            return MqttAddress.parse(self.runtime.mqtt_url)
        address = MqttAddress(host=self.runtime.mqtt_host, port=self.runtime.mqtt_port)
        return address.with_user(service, self.secrets.services[service])


def _no_secrets() -> Secrets:
    return Secrets(jwt_secret="", admin_password="", api_key="", webhook_secret="", services={})


def _runtime_of(settings: Settings) -> Runtime:
    """Without a data folder the settings must say where everything is."""
    needed = {
        "MQTT_URL": settings.mqtt_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise SettingsError(f"without --data, {', '.join(missing)} must be set")
    return Runtime(
        pid=os.getpid(),
        base_url=settings.api_base_url or "http://127.0.0.1:8000",
        http_port=8000,
        mqtt_host="",
        mqtt_port=0,
        mqtt_url=needed["MQTT_URL"],
        database_url=needed["DATABASE_URL"],
        tracking_uri=needed["MLFLOW_TRACKING_URI"],
        artifact_root=settings.mlflow_artifact_root,
        smtp_host=settings.email_smtp_host,
        smtp_port=settings.email_smtp_port,
        own_mail=False,
        broker="external",
        agents=list(AGENT_NAMES),
    )


def _tell_libraries(settings: Settings) -> None:
    """boto3, MLflow and the Prometheus client read the environment: say there what a `.env` file said to us."""
    known = {
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.aws_secret_access_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.aws_default_region,
        "PROMETHEUS_MULTIPROC_DIR": str(settings.prometheus_multiproc_dir or ""),
    }
    os.environ.update({name: value for name, value in known.items() if value})
