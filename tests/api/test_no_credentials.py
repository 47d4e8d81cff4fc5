"""Where somebody else keeps the broker's users, a device is not half added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cloud.api.problems import Problem
from cloud.api.registration import NoCredentials, Registration
from ronda.parts import Surroundings
from ronda.web import _password_file


class Register:
    """Remembers which devices were registered."""

    def __init__(self) -> None:
        self.added: list[str] = []

    async def get(self, site: str, device: str) -> None:
        return None

    async def all(self) -> Sequence[object]:
        return ()

    async def ensure(self, site: str, device: str, origin: str, **_: object) -> None:
        self.added.append(f"{site}/{device}")


async def admitted(user: str, password: str) -> None:
    """Everybody is."""


async def test_a_device_is_refused_with_where_to_turn_and_not_registered() -> None:
    register = Register()
    registration = Registration(register, NoCredentials(), admitted, lambda: 0.0)
    with pytest.raises(Problem, match="MQTT_PASSWORD_FILE") as refused:
        await registration.add("plant-1", "pump-01", "provisioned")
    assert refused.value.status == 409
    assert register.added == []


@pytest.mark.parametrize(
    ("broker", "set_to", "used"),
    [
        ("embedded", None, "data/broker/passwd"),
        ("mosquitto", "theirs", "data/broker/passwd"),
        ("external", "theirs", "theirs"),
        ("external", None, None),
    ],
)
def test_devices_are_added_where_the_broker_looks(broker: str, set_to: str | None, used: str | None) -> None:
    around = SimpleNamespace(
        runtime=SimpleNamespace(broker=broker),
        installation=SimpleNamespace(passwd=Path("data/broker/passwd")),
        settings=SimpleNamespace(mqtt_password_file=None if set_to is None else Path(set_to)),
    )
    assert _password_file(cast("Surroundings", around)) == (None if used is None else Path(used))


def test_nobody_logs_in_by_a_password_that_we_cannot_know() -> None:
    assert not NoCredentials().verify("plant-1/pump-01", "anything")
