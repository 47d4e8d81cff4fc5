"""Builds an agent with its real ports: the store, the model files, the channels that reach people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from cloud.agents.acquisition import DataAcquisitionAgent
from cloud.agents.agent import Agent
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.historian import Historian
from cloud.agents.notification import NotificationAgent
from cloud.agents.validation import ValidationAgent
from cloud.models.artifacts import Artifacts
from cloud.notifications.channel import Channel
from cloud.notifications.decision import Policy
from cloud.notifications.email import Email, Smtp, addresses
from cloud.notifications.message import warm_up
from cloud.notifications.notice import Locale
from cloud.notifications.notifier import Notifier
from cloud.notifications.webhook import Webhook
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.hops import HopStore
from cloud.storage.readings import ReadingStore
from contract.plausibility import Metric
from ronda.journal import NotificationJournal
from ronda.memory import DetectorMemory
from ronda.metrics.agents import AgentMetrics, CountingStore
from ronda.mlflow.tracking import tracking
from ronda.model_files import ModelFiles
from ronda.parts import Surroundings, clock_ms, elapsed_ms
from ronda.settings import SettingsError


def build(
    name: str,
    around: Surroundings,
    database: Database,
    instance: str,
    partitions: Sequence[int] | None,
    metrics: AgentMetrics,
) -> Agent:
    """The agent called `name`."""
    makers: Mapping[str, Callable[[], Agent]] = {
        "acquisition": lambda: DataAcquisitionAgent(clock_ms),
        "validation": lambda: ValidationAgent(RegisteredDevices(database), clock_ms),
        "anomaly-detection": lambda: AnomalyDetectionAgent(
            _model_files(around),
            DetectorMemory(database, instance, clock_ms, elapsed_ms),
            clock_ms,
            elapsed_ms,
            zone=ZoneInfo(around.settings.time_zone),
            partitions=partitions,
        ),
        "notification": lambda: NotificationAgent(
            _notifier(around), NotificationJournal(database, clock_ms), clock_ms, warm_up=warm_up, told=around.told
        ),
        "historian": lambda: Historian(CountingStore(ReadingStore(database), metrics), HopStore(database), clock_ms),
    }
    return makers[name]()


class RegisteredDevices:
    """The device register, with the clock it needs for new entries."""

    def __init__(self, database: Database) -> None:
        self._store = DeviceStore(database)

    async def metrics(self, site: str, device: str) -> Sequence[Metric] | None:
        """The registered metrics."""
        return await self._store.metrics(site, device)

    async def register_metrics(self, site: str, device: str, metrics: Sequence[Metric]) -> Sequence[Metric]:
        """Register these unless some are registered already."""
        return await self._store.register_metrics(site, device, metrics, now_ms=int(clock_ms()))


def _model_files(around: Surroundings) -> ModelFiles:
    settings = around.settings
    login = tracking(settings).login
    artifacts = Artifacts(around.runtime.tracking_uri, settings.mlflow_s3_endpoint_url, login)
    return ModelFiles(artifacts, around.installation.mlflow / "in-force" if around.installation else None)


def _notifier(around: Surroundings) -> Notifier:
    settings, runtime = around.settings, around.runtime
    return Notifier(
        _channels(around),
        policy=Policy(cooldown_ms=settings.notification_cooldown_s * 1000),
        base_url=runtime.base_url,
        locale=Locale(language=settings.language, zone=settings.time_zone),
        now_ms=lambda: int(clock_ms()),
    )


def _channels(around: Surroundings) -> list[Channel]:
    settings, runtime = around.settings, around.runtime
    channels: list[Channel] = []
    if runtime.smtp_host:
        smtp = Smtp(
            host=runtime.smtp_host,
            port=runtime.smtp_port,
            tls=settings.email_smtp_tls and not runtime.own_mail,
            user="" if runtime.own_mail else settings.email_smtp_user,
            password="" if runtime.own_mail else settings.email_smtp_pass.get_secret_value(),
        )
        (sender,) = _addresses("EMAIL_FROM", settings.email_from)[:1]
        channels.append(Email(smtp, sender, _addresses("EMAIL_TO", settings.email_to)))
    if settings.webhook_url:
        secret = around.secrets.webhook_secret
        channels.append(Webhook(settings.webhook_url, secret, now_ms=lambda: int(clock_ms())))
    return channels


def _addresses(setting: str, text: str) -> list[str]:
    try:
        return addresses(text)
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from error
