"""`ronda device gateway` makes the user that a gateway needs, and takes it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.access import rights_of
from broker.credentials import Credentials
from contract.errors import ContractError
from ronda.gateway_user import make_gateway_user, remove_gateway_user
from ronda.installation import Installation, InstallationError, Runtime


def running(data: Path, mqtt_url: str = "") -> Installation:
    made = Installation(data)
    made.create()
    made.announce(
        Runtime(
            pid=1, base_url="", http_port=0, mqtt_host="127.0.0.1", mqtt_port=1883, database_url="", tracking_uri="",
            artifact_root="", smtp_host="", smtp_port=0, own_mail=False, broker="embedded", agents=[],
            mqtt_url=mqtt_url,
        )
    )  # fmt: skip
    return made


def test_the_user_is_made_with_a_password_that_is_shown_once_and_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    installation = running(tmp_path)
    make_gateway_user(tmp_path, "plant-1")
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines()[:2])
    assert Credentials(installation.passwd).verify("gateway/plant-1", shown["password"])
    rights = rights_of((), shown["username"])
    assert rights is not None
    assert "ronda/v1/plant-1/+/telemetry" in rights.writes
    remove_gateway_user(tmp_path, "plant-1")
    assert Credentials(installation.passwd).users() == []
    with pytest.raises(InstallationError, match="plant-1 has no gateway"):
        remove_gateway_user(tmp_path, "plant-1")


def test_a_broker_of_ones_own_and_a_name_that_is_none_are_refused(tmp_path: Path) -> None:
    running(tmp_path, "mqtts://broker.example:8883")
    with pytest.raises(InstallationError, match="a broker of your own"):
        make_gateway_user(tmp_path, "plant-1")
    with pytest.raises(ContractError):
        make_gateway_user(tmp_path, "plant/1")
