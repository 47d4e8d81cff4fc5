"""What an administrator may set: environment variables, or a `.env` file in the working directory."""

from __future__ import annotations

import re
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.fullness import MAX_MESSAGES
from contract.errors import RondaError

# Shipped in examples everywhere; never a secret.
_GIVEN_AWAY = frozenset({"", "change-me", "changeme", "secret", "password", "admin", "ronda"})
# HMAC-SHA256 wants a key of its own length (RFC 7518, section 3.2).
_MINIMUM_SECRET = 32
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?(\.[\w-]+)?(@\w+)?|C(\.[\w-]+)?")
# Where Docker and, by a mount of ours, Kubernetes lay secrets as files.
_SECRETS = Path("/run/secrets")
# A part in a container has the secrets that it answers for and no others; `ronda up` has them all.
_ANSWERS_FOR = {
    "web": frozenset({"API_KEY", "JWT_SECRET", "JWT_PREVIOUS_SECRETS", "ADMIN_PASSWORD"}),
    "agent-notification": frozenset({"WEBHOOK_SECRET"}),
}


class SettingsError(RondaError):
    """A setting that cannot work; the text says which, and what to set."""


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals. Empty means: decided by `ronda up`.

    In a container a field may also be a file `/run/secrets/<name>`, where Docker and Kubernetes put secrets.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
    )

    env: Literal["development", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    time_zone: str = "UTC"
    language: Literal["en", "pt"] = "en"

    api_key: SecretStr = SecretStr("")
    jwt_secret: SecretStr = SecretStr("")
    jwt_previous_secrets: SecretStr = SecretStr("")
    admin_password: SecretStr = SecretStr("")
    api_base_url: str = ""
    rate_limit_per_minute: int = Field(default=6000, ge=0)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    trusted_proxies: str = ""

    mqtt_url: SecretStr = SecretStr("")
    mqtt_ca_file: Path | None = None
    mqtt_services_secret: SecretStr = SecretStr("")
    mqtt_password_file: Path | None = None
    mqtt_client: Literal["own", "aiomqtt"] = "own"
    gateway_local_url: SecretStr = SecretStr("")
    broker_queue_messages: int = Field(default=MAX_MESSAGES, ge=1000)
    database_url: SecretStr = SecretStr("")
    database_pool_size: int = Field(default=5, ge=1, le=100)
    redis_url: SecretStr = SecretStr("")

    mlflow_tracking_uri: str = ""
    mlflow_tracking_username: str = ""
    mlflow_tracking_password: SecretStr = SecretStr("")
    mlflow_backend_store_uri: SecretStr = SecretStr("")
    mlflow_artifact_root: str = ""
    mlflow_s3_endpoint_url: str = ""
    mlflow_allowed_hosts: str = ""
    aws_access_key_id: str = ""
    aws_secret_access_key: SecretStr = SecretStr("")
    aws_default_region: str = ""

    email_smtp_host: str = ""
    email_smtp_port: int = Field(default=587, ge=1, le=65535)
    email_smtp_tls: bool = True
    email_smtp_user: str = ""
    email_smtp_pass: SecretStr = SecretStr("")
    email_from: str = "ronda@localhost"
    email_to: str = "maintenance@localhost"
    mail_server: str = ""
    mail_folder: Path | None = None

    webhook_url: str = ""
    webhook_secret: SecretStr = SecretStr("")

    notification_cooldown_s: int = Field(default=600, ge=0)
    learn_rows: int = Field(default=1800, ge=120)
    model_promotion: Literal["automatic", "manual"] = "automatic"
    retention_raw_days: int = Field(default=90, ge=0)
    retention_minute_days: int = Field(default=730, ge=0)
    retention_hour_days: int = Field(default=0, ge=0)
    quarantine_max_entries: int = Field(default=100_000, ge=1000)
    quarantine_max_mb: int = Field(default=256, ge=16)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    metrics_listen: str = "127.0.0.1"
    prometheus_multiproc_dir: Path | None = None

    @model_validator(mode="after")
    def _coarser_for_longer(self) -> Self:
        """What readings were added up to must outlive them, or nothing would be left to be added to it."""
        kept = [
            ("RETENTION_RAW_DAYS", self.retention_raw_days),
            ("RETENTION_MINUTE_DAYS", self.retention_minute_days),
            ("RETENTION_HOUR_DAYS", self.retention_hour_days),
        ]
        for (finer, less), (coarser, more) in pairwise(kept):
            if more and (not less or more < less):
                raise ValueError(f"{coarser}={more} is shorter than {finer}={less}; 0 is for ever, for either")
        return self

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError(f"{name!r} is no zone of the IANA list, such as America/Sao_Paulo") from error
        return name

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str) -> str:
        for part in _listed(text):
            try:
                ip_network(part)
            except ValueError as error:
                raise ValueError(f"{part!r} is neither an IP address nor a network, such as 10.0.0.0/8") from error
        return text

    @field_validator("mqtt_services_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < _MINIMUM_SECRET:
            raise ValueError(f"must have at least {_MINIMUM_SECRET} characters, such as from: openssl rand -hex 32")
        return secret

    @field_validator("language", mode="before")
    @classmethod
    def _first_spoken(cls, value: object) -> object:
        """Desktops set LANGUAGE to a list of locales, such as `pt_BR:pt:en` (GNU gettext): the first that we speak."""
        locales = str(value).split(":")
        if not all(map(_LOCALE.fullmatch, locales)):
            return value
        return next((spoken for locale in locales if (spoken := locale[:2]) in {"en", "pt"}), "en")

    @field_validator("webhook_url")
    @classmethod
    def _http_address(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("must be an http:// or https:// address")
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, url: SecretStr) -> SecretStr:
        value = url.get_secret_value()
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be a redis://, rediss:// (TLS) or unix:// address")
        try:
            _ = urlsplit(value).port
        except ValueError:
            # Without its words: what stands in the port's place may be a part of the password.
            raise ValueError("has no number for a port; a '/', '?' or '#' in its password is %2F, %3F or %23") from None
        return url

    @property
    def previous_jwt_secrets(self) -> list[str]:
        """The secrets that signed tokens before; what they signed is still believed."""
        return _listed(self.jwt_previous_secrets.get_secret_value())

    @property
    def proxies(self) -> list[str]:
        """The addresses and networks of the proxies in front, whose word on the client counts."""
        return _listed(self.trusted_proxies)

    def check_secrets(self, part: str | None = None) -> None:
        """In production nothing starts on a secret that anybody could know. Raises: SettingsError naming each.

        `part`: the one that runs alone, and answers for its own secrets only.
        """
        if self.env != "production":
            return
        secrets = self._secrets()
        asked = secrets if part is None else _ANSWERS_FOR.get(part, frozenset()) & secrets.keys()
        weak = [name for name in secrets if name in asked and _is_weak(name, secrets[name])]
        if weak:
            raise SettingsError(
                f"ENV=production, but {', '.join(weak)} {'is' if len(weak) == 1 else 'are'} empty, a default or too "
                f"short; set each to a random value, for example from: openssl rand -hex 32"
            )

    def warnings(self) -> list[str]:
        """What is fine for trying out and would be refused in production."""
        weak = [name for name, value in self._secrets().items() if value and _is_weak(name, value)]
        return [f"{name} is a default or too short: fine for trying out, refused with ENV=production" for name in weak]

    def _secrets(self) -> dict[str, str]:
        secrets = {
            "API_KEY": self.api_key.get_secret_value(),
            "JWT_SECRET": self.jwt_secret.get_secret_value(),
            "ADMIN_PASSWORD": self.admin_password.get_secret_value(),
        }
        if before := self.previous_jwt_secrets:
            # Who knows any one of them can make a token: they are as good as the shortest.
            secrets["JWT_PREVIOUS_SECRETS"] = min(before, key=len)
        if self.webhook_url:
            secrets["WEBHOOK_SECRET"] = self.webhook_secret.get_secret_value()
        return secrets


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_weak(name: str, value: str) -> bool:
    return value.lower() in _GIVEN_AWAY or (name.startswith("JWT_") and len(value) < _MINIMUM_SECRET)


def load_settings(part: str | None = None) -> Settings:
    """The settings in force, for the `part` that runs alone or for all. Raises: SettingsError, a line per mistake."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(_plain(error)) from error
    settings.check_secrets(part)
    return settings


def _plain(error: ValidationError) -> str:
    """One that is about several settings names them itself."""
    lines = [": ".join(filter(None, (".".join(map(str, e["loc"])).upper(), e["msg"]))) for e in error.errors()]
    return "; ".join(line.replace("Value error, ", "") for line in lines)
