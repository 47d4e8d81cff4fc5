"""What a process needs of the installation around it: from a running `ronda up`, or from the settings alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from broker.address import MqttAddress
from ronda.installation import AGENT_NAMES, Installation, Runtime, Secrets, service_passwords, with_settings
from ronda.logs import set_up_logs
from ronda.mlflow.tracking import tracking
from ronda.settings import Settings, SettingsError, load_settings
from ronda.tls.listening import material, shown_certificate

if TYPE_CHECKING:
    from cloud.agents.notification import Told


def clock_ms() -> float:
    """UTC epoch milliseconds."""
    return time.time() * 1000


def elapsed_ms() -> float:
    """Milliseconds since some moment, whatever the clock is set to: for how long ago something was."""
    return time.monotonic() * 1000


class Surroundings:
    """Settings, secrets and addresses, as one process sees them."""

    def __init__(self, process: str, data: Path | None) -> None:
        self.settings = load_settings(process if data is None else None)
        self.installation = None if data is None else Installation(data)
        # First of all, so that a mistyped folder is not made.
        self.runtime = _runtime_of(self.settings) if self.installation is None else self.installation.runtime()
        set_up_logs(process, self.settings.log_level, self.installation.logs if self.installation else None)
        secrets = _no_secrets(self.settings) if self.installation is None else self.installation.secrets()
        self.secrets = with_settings(secrets, self.settings)
        # Outlives every agent of this process, as what reached people does.
        self.told: Told = {}
        tell_libraries(self.settings)
        if self.installation is not None:
            # Its cache of fonts belongs to the installation, whatever the home folder allows.
            os.environ.setdefault("MPLCONFIGDIR", str(self.installation.root / "matplotlib"))

    def broker(self) -> MqttAddress:
        """Where the broker is, and whom its certificate must be signed by."""
        if self.runtime.mqtt_url:
            return MqttAddress.parse(self.runtime.mqtt_url).trusting(self.settings.mqtt_ca_file)
        return MqttAddress(host=self.runtime.mqtt_host, port=self.runtime.mqtt_port)

    def mqtt(self, service: str) -> MqttAddress:
        """The broker, and as whom this service speaks to it."""
        address = self.broker()
        known = self.secrets.services if address.user is None else {}
        return address.with_user(service, known[service]) if service in known else address


def _no_secrets(settings: Settings) -> Secrets:
    common = settings.mqtt_services_secret.get_secret_value()
    services = service_passwords(common) if common else {}
    return Secrets(jwt_secret="", admin_password="", api_key="", webhook_secret="", services=services)


def _runtime_of(settings: Settings) -> Runtime:
    """Without a data folder the settings must say where everything is."""
    needed = {
        "MQTT_URL": settings.mqtt_url.get_secret_value(),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "MLFLOW_TRACKING_URI": tracking(settings).uri,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise SettingsError(f"without --data, {', '.join(missing)} must be set")
    tls = material(settings, None)
    smtp_host, smtp_port, own_mail = _mail_server(settings)
    return Runtime(
        pid=os.getpid(),
        base_url=settings.api_base_url or f"{'https' if tls else 'http'}://127.0.0.1:8000",
        http_port=8000,
        mqtt_host="",
        mqtt_port=0,
        mqtt_url=needed["MQTT_URL"],
        database_url=needed["DATABASE_URL"],
        tracking_uri=needed["MLFLOW_TRACKING_URI"],
        artifact_root=settings.mlflow_artifact_root,
        smtp_host=smtp_host,
        smtp_port=smtp_port,
        own_mail=own_mail,
        broker="external",
        agents=list(AGENT_NAMES),
        tls_cert_file=str(tls.certificate) if tls else "",
        tls_key_file=str(tls.key) if tls else "",
        certificate=shown_certificate(tls),
    )


def _mail_server(settings: Settings) -> tuple[str, int, bool]:
    """(host, port, is it `ronda mail`?)."""
    if settings.email_smtp_host or not settings.mail_server:
        return settings.email_smtp_host, settings.email_smtp_port, False
    host, _, port = settings.mail_server.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"MAIL_SERVER: {settings.mail_server!r} is no host:port, such as mail:1025")
    return host, int(port), True


def tell_libraries(settings: Settings) -> None:
    """boto3, MLflow and the Prometheus client read the environment: say there what a `.env` file said to us."""
    user, password = tracking(settings).login or ("", "")
    known = {
        "MLFLOW_S3_ENDPOINT_URL": settings.mlflow_s3_endpoint_url,
        "MLFLOW_TRACKING_USERNAME": user,
        "MLFLOW_TRACKING_PASSWORD": password,
        "AWS_ACCESS_KEY_ID": settings.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.aws_secret_access_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.aws_default_region,
        "PROMETHEUS_MULTIPROC_DIR": str(settings.prometheus_multiproc_dir or ""),
    }
    os.environ.update({name: value for name, value in known.items() if value})
