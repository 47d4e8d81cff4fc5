"""The secrets of a stack: made once, kept, and handed out as files that fit the settings."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from broker.address import MqttAddress
from ronda.installation import SERVICES, InstallationError
from ronda.settings import Settings
from ronda.stack.secrets import make_secrets, read_mqtt_users


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_made_again_nothing_changes(tmp_path: Path) -> None:
    assert "jwt_secret" in make_secrets(tmp_path)
    before = contents(tmp_path)
    assert make_secrets(tmp_path) == []
    assert contents(tmp_path) == before


def test_other_users_of_the_machine_do_not_get_past_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.is_file()} == {0o444}


def test_the_key_of_the_authority_is_handed_to_nobody(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    assert "ca.key" not in contents(tmp_path)
    assert stat.S_IMODE((tmp_path / "tls" / "ca.key").stat().st_mode) == 0o600


def test_a_value_of_ones_own_is_kept_and_stands_in_what_is_made_of_it(tmp_path: Path) -> None:
    (tmp_path / "postgres_password").write_text("p@ss word\n")
    make_secrets(tmp_path)
    found = contents(tmp_path)
    assert found["postgres_password"] == "p@ss word"
    assert found["database_url"] == "postgresql://ronda:p%40ss%20word@postgres:5432/ronda"


def test_every_service_has_a_password_of_its_own(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    users = read_mqtt_users(tmp_path / "mqtt_users")
    assert set(users) == set(SERVICES)
    assert len(set(users.values())) == len(SERVICES)
    for service, password in users.items():
        address = MqttAddress.parse((tmp_path / f"mqtt_url_{service}").read_text())
        assert (address.user, address.password, address.tls) == (service, password, True)


def test_the_settings_read_them_where_docker_lays_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    make_secrets(tmp_path)
    settings = Settings(_env_file=None, _secrets_dir=tmp_path)  # type: ignore[call-arg]  # pydantic-settings takes it
    assert settings.jwt_secret.get_secret_value() == contents(tmp_path)["jwt_secret"]
    assert urlsplit(settings.redis_url.get_secret_value()).hostname == "redis"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InstallationError, match="cannot write the secrets"):
        make_secrets(tmp_path / "file")


def test_a_file_that_holds_no_users_is_named(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match="holds no users"):
        read_mqtt_users(tmp_path / "mqtt_users")
