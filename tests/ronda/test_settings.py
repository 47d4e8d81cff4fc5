"""Settings: what is documented is read, what is read is documented, and no weak secret starts in production."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ronda.settings import Settings, SettingsError, load_settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
SECRETS = {
    "API_KEY": "k" * 32,
    "JWT_SECRET": "j" * 64,
    "ADMIN_PASSWORD": "long enough to be nobody's guess",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def documented() -> set[str]:
    return set(re.findall(r"^([A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_one_is_read() -> None:
    assert documented() == {name.upper() for name in Settings.model_fields}


def test_the_example_works_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    assert load_settings() == Settings(_env_file=None)  # type: ignore[call-arg]  # pydantic-settings takes it


def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_SMTP_TLS", "false")
    assert load_settings().email_smtp_tls is False


@pytest.mark.parametrize(
    ("said", "language"), [("pt_BR:pt:en", "pt"), ("en_US.UTF-8", "en"), ("de_DE:pt", "pt"), ("de", "en"), ("C", "en")]
)
def test_the_language_of_a_desktop_is_understood(monkeypatch: pytest.MonkeyPatch, said: str, language: str) -> None:
    monkeypatch.setenv("LANGUAGE", said)
    assert load_settings().language == language


def test_a_language_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "portuguese")
    with pytest.raises(SettingsError, match="LANGUAGE"):
        load_settings()


def test_an_impossible_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_SMTP_PORT", "many")
    with pytest.raises(SettingsError, match="EMAIL_SMTP_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("raw", "minute", "hour", "fault"),
    [
        ("90", "30", "0", "RETENTION_MINUTE_DAYS=30 is shorter than RETENTION_RAW_DAYS=90"),
        ("0", "730", "0", "RETENTION_MINUTE_DAYS=730 is shorter than RETENTION_RAW_DAYS=0"),
        ("7", "0", "365", "RETENTION_HOUR_DAYS=365 is shorter than RETENTION_MINUTE_DAYS=0"),
        ("30", "30", "30", None),
        ("0", "0", "0", None),
    ],
)
def test_what_readings_were_added_up_to_is_kept_at_least_as_long(
    monkeypatch: pytest.MonkeyPatch, raw: str, minute: str, hour: str, fault: str | None
) -> None:
    for name, value in {"RAW": raw, "MINUTE": minute, "HOUR": hour}.items():
        monkeypatch.setenv(f"RETENTION_{name}_DAYS", value)
    if fault is None:
        assert load_settings().retention_raw_days == int(raw)
    else:
        with pytest.raises(SettingsError, match=f"^{fault}"):
            load_settings()


def production(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in {"ENV": "production", **SECRETS, **changed}.items():
        monkeypatch.setenv(name, value)


def test_production_starts_with_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    assert load_settings().env == "production"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["", "change-me"])
def test_production_refuses_a_default_or_empty_secret_and_says_which(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    production(monkeypatch, **{name: value})
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("part", ["agent-historian", "emulator", "mail"])
def test_in_production_a_part_that_runs_alone_needs_no_secret_of_another(
    monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setenv("ENV", "production")
    assert load_settings(part).env == "production"


def test_in_production_the_api_alone_needs_its_own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")
    with pytest.raises(SettingsError, match="API_KEY, JWT_SECRET, ADMIN_PASSWORD"):
        load_settings("web")


@pytest.mark.parametrize("before", ["change-me", f"{'p' * 64}, short"])
@pytest.mark.parametrize("part", [None, "web"])
def test_production_believes_no_token_of_an_earlier_secret_that_anybody_could_know(
    monkeypatch: pytest.MonkeyPatch, before: str, part: str | None
) -> None:
    production(monkeypatch, JWT_PREVIOUS_SECRETS=before)
    with pytest.raises(SettingsError, match="JWT_PREVIOUS_SECRETS is"):
        load_settings(part)


def test_earlier_secrets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch, JWT_PREVIOUS_SECRETS=f" {'p' * 64},, {'q' * 64} ,")
    assert load_settings().previous_jwt_secrets == ["p" * 64, "q" * 64]


@pytest.mark.parametrize("mark", "/?#")
def test_a_redis_address_that_cannot_be_read_shows_nothing_of_its_password(
    monkeypatch: pytest.MonkeyPatch, mark: str
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2{mark}hunter3@redis:6379/0")
    with pytest.raises(SettingsError, match="REDIS_URL") as refused:
        load_settings()
    assert "hunter" not in str(refused.value)


def test_production_refuses_an_unsigned_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch, WEBHOOK_URL="https://example.org/hook")
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET"):
        load_settings()


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    production(monkeypatch)
    assert SECRETS["JWT_SECRET"] not in repr(load_settings())


def test_a_short_secret_is_noted_while_trying_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "short")
    assert any("JWT_SECRET" in warning for warning in load_settings().warnings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIME_ZONE", "Mars/Base"),
        ("WEBHOOK_URL", "ftp://plant.example"),
        ("REDIS_URL", "redis:6379"),
        ("LEARN_ROWS", "3"),
    ],
)
def test_a_value_that_cannot_work_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()
