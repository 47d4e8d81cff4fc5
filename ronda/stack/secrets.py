"""The secrets of a stack of containers: one file each, made once, which `docker-compose.yml` hands to who needs it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from ronda.installation import SERVICES, InstallationError
from ronda.tls.certs import ensure, own_names

# As the services of `docker-compose.yml` are called.
_DATABASE, _BROKER, _REDIS = "postgres:5432", "mosquitto:8883", "redis:6379"
# Other users of this machine do not get past the folder. Its files can be read by all, since each container that gets
# one has a user of its own, and sees no file that it was not given.
_FOLDER_MODE, _FILE_MODE = 0o700, 0o444


def _word() -> str:
    return secrets.token_urlsafe(24)


# Each is random and stands for itself; whoever writes his own into the file keeps it.
_MADE: Mapping[str, Callable[[], str]] = {
    "admin_password": lambda: secrets.token_urlsafe(12),
    "api_key": _word,
    "aws_access_key_id": lambda: secrets.token_hex(10),
    "aws_secret_access_key": _word,
    # Somebody else's mail server gave it, so there is nothing to make up.
    "email_smtp_pass": str,
    "grafana_admin_password": _word,
    "jwt_secret": lambda: secrets.token_hex(32),
    "mlflow_database_password": _word,
    **{f"mqtt_password_{service}": _word for service in SERVICES},
    "postgres_password": _word,
    "redis_password": _word,
    "webhook_secret": lambda: secrets.token_hex(32),
}


def make_secrets(folder: Path) -> list[str]:
    """Make what is missing in `folder` and return its names. Raises: InstallationError when that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        known = {name: _read(folder / name) for name in _MADE}
        values = {name: made() if (old := known[name]) is None else old for name, made in sorted(_MADE.items())}
        for name, content in (values | derived(values) | _certificates(folder / "tls")).items():
            _write(folder / name, content)
    except OSError as error:
        raise InstallationError(f"cannot write the secrets to {folder}: {error.strerror}") from error
    return [name for name in _MADE if known[name] is None]


def derived(values: Mapping[str, str]) -> dict[str, str]:
    """The files that are made of the others: addresses with a password in them, and what the services read."""
    mqtt = {service: values[f"mqtt_password_{service}"] for service in SERVICES}
    return {
        "database_url": f"postgresql://ronda:{quote(values['postgres_password'], safe='')}@{_DATABASE}/ronda",
        "mlflow_backend_store_uri": (
            f"postgresql://mlflow:{quote(values['mlflow_database_password'], safe='')}@{_DATABASE}/mlflow"
        ),
        "mqtt_users": _json(mqtt),
        **{
            f"mqtt_url_{service}": f"mqtts://{service}:{quote(password, safe='')}@{_BROKER}"
            for service, password in mqtt.items()
        },
        "redis_conf": f"requirepass {values['redis_password']}\n",
        "redis_url": f"redis://:{quote(values['redis_password'], safe='')}@{_REDIS}/0",
        "s3_identities": _json(_s3_identities(values["aws_access_key_id"], values["aws_secret_access_key"])),
    }


def _certificates(folder: Path) -> dict[str, str]:
    """The broker's certificate and key, and the authority by which devices know it; its own key stays in `folder`."""
    # Within the stack by its service's name, from outside by this machine's names and addresses.
    ensure(
        folder, {_BROKER.partition(":")[0]: ["mosquitto", "localhost", "127.0.0.1", *own_names()]}, datetime.now(UTC)
    )
    return {name: (folder / name).read_text(encoding="utf-8") for name in ("ca.crt", "mosquitto.crt", "mosquitto.key")}


def read_mqtt_users(file: Path) -> dict[str, str]:
    """Service → password, as `make_secrets` wrote it. Raises: InstallationError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        raise InstallationError(f"{file} holds no users of the broker ({error}); `ronda secrets` makes it") from error


def _s3_identities(key: str, secret: str) -> dict[str, object]:
    """Who may do what in SeaweedFS (its `-s3.config`)."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {
        "identities": [
            {"name": "ronda", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions},
        ]
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8").strip() if file.exists() else None


def _write(file: Path, content: str) -> None:
    """Replace the file when it says something else; a container that has it mounted keeps what it has."""
    if file.exists() and file.read_text(encoding="utf-8") == content:
        return
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_text(content, encoding="utf-8")
    fresh.chmod(_FILE_MODE)
    fresh.replace(file)
