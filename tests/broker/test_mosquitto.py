"""Mosquitto's configuration and access list, from the same declarations, and its process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from broker.credentials import Credentials
from broker.listeners import Listener, TlsFiles
from broker.mosquitto import Mosquitto, MosquittoError, access_list, configuration
from contract.access import Party
from tests.support.brokers import mosquitto
from tests.support.ports import free_port

PARTIES = [Party(name="validation", writes=["ronda-chain/v1/validated/+"], reads=["ronda-chain/v1/ingested/+"])]


def test_the_access_list_says_what_the_contract_says() -> None:
    assert access_list(PARTIES, ["plant-1/pump-07", "gateway/plant-1", "validation"]).splitlines() == [
        "user validation",
        "topic write ronda-chain/v1/validated/+",
        "topic read ronda-chain/v1/ingested/+",
        "",
        "user gateway/plant-1",
        "topic write ronda/v1/plant-1/+/telemetry",
        "topic write ronda/v1/plant-1/+/status",
        "topic read ronda/v1/plant-1/+/stored",
        "topic read ronda-chain/v1/model/plant-1/+/#",
        *(
            f"topic deny ronda/v1/gateway/plant-1/{channel}"
            for channel in [
                "telemetry",
                "status",
                "config/reported",
                "command/result",
                "config/desired",
                "command",
                "firmware",
                "stored",
            ]
        ),
        "",
        "pattern write ronda/v1/%u/telemetry",
        "pattern write ronda/v1/%u/status",
        "pattern write ronda/v1/%u/config/reported",
        "pattern write ronda/v1/%u/command/result",
        "pattern read ronda/v1/%u/config/desired",
        "pattern read ronda/v1/%u/command",
        "pattern read ronda/v1/%u/firmware",
        "pattern read ronda/v1/%u/stored",
    ]


def test_the_configuration_is_strict_and_fast() -> None:
    listeners = [Listener("127.0.0.1", 1883)]
    lines = configuration(Path("/d"), listeners, passwd=Path("/d/passwd"), acl=Path("/d/acl")).splitlines()
    for line in (
        "allow_anonymous false",
        "per_listener_settings false",
        "set_tcp_nodelay true",
        "max_inflight_messages 1000",
        "max_queued_messages 1000000",
        "max_packet_size 8388608",
        "persistence true",
        "listener 1883 127.0.0.1",
    ):
        assert line in lines


def test_each_listener_has_its_own_certificate_or_none() -> None:
    listeners = [Listener("127.0.0.1", 1883), Listener("0.0.0.0", 8883, TlsFiles(Path("/c.crt"), Path("/c.key")))]
    lines = configuration(Path("/d"), listeners, passwd=Path("/p"), acl=Path("/a")).splitlines()
    first = lines.index("listener 1883 127.0.0.1")
    assert lines[first + 1 : first + 5] == [
        "listener 8883 0.0.0.0",
        "certfile /c.crt",
        "keyfile /c.key",
        "tls_version tlsv1.2",
    ]


async def test_a_path_with_a_space_is_no_hindrance(tmp_path: Path) -> None:
    async with mosquitto(tmp_path / "a folder") as running, running.bus("agent") as bus:
        await bus.publish([("plant/1", b"x")])


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as running:
        second = Mosquitto(tmp_path / "second", "127.0.0.1", running.port, running.credentials, [])
        with pytest.raises(MosquittoError, match=r"in use"):
            await second.start()


async def test_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with mosquitto(tmp_path):
        pass
    assert stat.S_IMODE((tmp_path / "mosquitto" / "mosquitto.log").stat().st_mode) == 0o600


async def test_a_stop_before_a_start_is_nothing(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "127.0.0.1", free_port(), Credentials(tmp_path / "passwd"), [])
    await broker.stop()
    with pytest.raises(MosquittoError, match="not running"):
        broker.reload()
