"""The parts' passwords on the broker, made of one secret where a host hands out variables and no files."""

from __future__ import annotations

import pytest

from ronda.hub import run_agent
from ronda.installation import SERVICES, InstallationError, service_passwords
from ronda.parts import Surroundings
from ronda.settings import SettingsError, load_settings

SECRET = "0123456789abcdef" * 2
WHERE = {
    "MQTT_URL": "mqtt://broker:1883",
    "DATABASE_URL": "postgresql://ronda:x@127.0.0.1:1/ronda",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    "MQTT_SERVICES_SECRET": SECRET,
}


def test_each_service_has_a_password_of_its_own_and_the_same_each_time() -> None:
    made = service_passwords(SECRET)
    assert set(made) == set(SERVICES)
    assert len(set(made.values())) == len(SERVICES)
    assert made == service_passwords(SECRET)
    # 256 bits in base64url.
    assert {len(password) for password in made.values()} == {43}
    assert not set(made.values()) & set(service_passwords(SECRET[::-1]).values())


def test_a_part_speaks_as_itself_where_the_address_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHERE.items():
        monkeypatch.setenv(name, value)
    address = Surroundings("agent-historian", None).mqtt("historian")
    assert (address.user, address.password) == ("historian", service_passwords(SECRET)["historian"])


def test_a_user_in_the_address_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (WHERE | {"MQTT_URL": "mqtt://somebody:word@broker:1883"}).items():
        monkeypatch.setenv(name, value)
    assert Surroundings("agent-historian", None).mqtt("historian").user == "somebody"


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_SERVICES_SECRET", "short")
    with pytest.raises(SettingsError, match="MQTT_SERVICES_SECRET: must have at least 32"):
        load_settings()


async def test_an_agent_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InstallationError, match=r"no agent 'everything'.*historian, or all of them"):
        await run_agent("everything", None, None)
