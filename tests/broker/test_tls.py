"""TLS on both brokers: who is trusted, and what a person reads when somebody is not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.address import AddressError, MqttAddress
from broker.bus import RefusedError
from broker.embedded import EmbeddedBroker, EmbeddedBrokerError
from broker.listeners import Listener, TlsFiles
from broker.mosquitto import Mosquitto, MosquittoError
from broker.mqtt import MqttBus
from broker.tls import TlsError
from broker.wire import WireBus
from contract.errors import TransientError
from tests.support.brokers import RunningBroker, embedded, mosquitto
from tests.support.certificates import certificates
from tests.support.ports import free_port
from tests.support.vanishing import vanish

PATIENCE_S = 20.0
Client = type[MqttBus | WireBus]


@pytest.fixture(params=["embedded", "mosquitto"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """Either broker, with TLS on a second port."""
    _, files = certificates(tmp_path / "tls")
    start = {"embedded": embedded, "mosquitto": mosquitto}[request.param]
    async with start(tmp_path, tls=files) as broker:
        yield broker


@pytest.fixture
def ca(running: RunningBroker, tmp_path: Path) -> Path:
    return tmp_path / "tls" / "ca.crt"


async def refusal(client: Client, address: MqttAddress) -> str:
    """What a person is told, in one line and at once."""
    began = time.monotonic()
    with pytest.raises(RefusedError) as refused:
        async with client(address, "stranger", timeout_s=PATIENCE_S):
            pass
    assert time.monotonic() - began < 10.0
    text = str(refused.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_who_trusts_the_authority_is_let_in_by_each_name(
    running: RunningBroker, ca: Path, host: str, client: Client
) -> None:
    async with client(running.secure(ca, host=host), "device") as device, running.bus("reader") as reader:
        await reader.subscribe("plant/#")
        await device.publish([("plant/1", b"x" * 100_000)])
        async with asyncio.timeout(PATIENCE_S):
            assert [message.payload for message in await reader.receive()] == [b"x" * 100_000]


async def test_another_authority_is_not_enough(
    running: RunningBroker, ca: Path, tmp_path: Path, client: Client
) -> None:
    other, _ = certificates(tmp_path / "other")
    text = await refusal(client, running.secure(other))
    assert "not trusted" in text
    assert str(other) in text
    assert "MQTT_CA_FILE" in text


async def test_without_an_authority_a_private_certificate_is_refused(running: RunningBroker, client: Client) -> None:
    assert "set MQTT_CA_FILE to a copy of the ca.crt" in await refusal(client, running.secure(None))


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
async def test_a_certificate_for_another_host_is_refused(kind: str, tmp_path: Path, client: Client) -> None:
    ca, files = certificates(tmp_path / "tls", ["elsewhere.example"])
    async with {"embedded": embedded, "mosquitto": mosquitto}[kind](tmp_path, tls=files) as broker:
        for host in ("127.0.0.1", "localhost"):
            text = await refusal(client, broker.secure(ca, host=host))
            assert f"ronda certs --name {host}" in text


async def test_an_expired_certificate_is_refused(tmp_path: Path, client: Client) -> None:
    ca, files = certificates(tmp_path / "tls", now=datetime.now(UTC) - timedelta(days=900))
    async with embedded(tmp_path, tls=files) as broker:
        assert "has expired" in await refusal(client, broker.secure(ca))


async def test_a_wrong_password_is_refused_over_tls_too(running: RunningBroker, ca: Path, client: Client) -> None:
    assert "refuses stranger" in await refusal(client, msgspec.structs.replace(running.secure(ca), password="wrong"))


async def test_plain_words_on_the_port_of_tls_are_told_what_to_write(
    running: RunningBroker, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr("broker.aiomqtt_connection.CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr("broker.wire.bus._CONNECT_TIMEOUT_S", 0.5)
    address = msgspec.structs.replace(running.secure(None), tls=False)
    assert "write mqtts://" in await refusal(client, address)


async def test_tls_on_the_plain_port_is_told(running: RunningBroker, ca: Path, client: Client) -> None:
    address = msgspec.structs.replace(running.secure(ca), port=running.port)
    with pytest.raises(TransientError, match=r"does not speak TLS.*mqtt://"):
        async with client(address, "device", timeout_s=0.5):
            pass


async def test_a_missing_authority_file_is_one_line(running: RunningBroker, tmp_path: Path, client: Client) -> None:
    with pytest.raises(TlsError, match=r"nowhere.crt .*No such file"):
        async with client(running.secure(tmp_path / "nowhere.crt"), "device"):
            pass


async def test_an_authority_file_that_comes_back_brings_the_connection_back(
    running: RunningBroker, ca: Path, client: Client
) -> None:
    hidden = ca.with_name("hidden.crt")
    async with client(running.secure(ca), "device") as device:
        ca.rename(hidden)
        vanish(device)
        await asyncio.sleep(0.5)
        assert not device.connected
        hidden.rename(ca)
        async with asyncio.timeout(PATIENCE_S):
            await device.publish([("plant/1", b"x")])


def test_an_authority_without_encryption_is_a_mistake() -> None:
    with pytest.raises(AddressError, match="MQTT_CA_FILE is set, but mqtt://h:1883 is not encrypted"):
        MqttAddress.parse("mqtt://h").trusting(Path("ca.crt"))
    assert MqttAddress.parse("mqtts://h").trusting(Path("ca.crt")).ca_file == Path("ca.crt")
    assert MqttAddress.parse("mqtt://h").trusting(None) == MqttAddress.parse("mqtt://h")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_todays_versions_are_spoken(running: RunningBroker, ca: Path, version: ssl.TLSVersion) -> None:
    assert (
        await asyncio.to_thread(spoken, running.tls_port, ca, version)
        == {
            ssl.TLSVersion.TLSv1_2: "TLSv1.2",
            ssl.TLSVersion.TLSv1_3: "TLSv1.3",
        }[version]
    )


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_versions_that_are_broken_are_not(running: RunningBroker, ca: Path) -> None:
    with pytest.raises(ssl.SSLError, match=r"ALERT_PROTOCOL_VERSION|UNEXPECTED_EOF"):
        await asyncio.to_thread(spoken, running.tls_port, ca, ssl.TLSVersion.TLSv1_1)


def spoken(port: int, ca: Path, version: ssl.TLSVersion) -> str | None:
    """The version that a client which knows only this one ends up with."""
    context = ssl.create_default_context(cafile=ca)
    # Otherwise Debian's own OpenSSL would already refuse to offer an old one.
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        return line.version()


async def test_a_client_of_somebody_else_comes_in_with_the_authority_alone(running: RunningBroker, ca: Path) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="esp32")
    client.username_pw_set("everything", running.passwords["everything"])
    client.tls_set(ca_certs=str(ca))
    await asyncio.to_thread(client.connect, "localhost", running.tls_port)
    client.loop_start()
    try:
        async with running.bus("reader") as reader:
            await reader.subscribe("plant/#")
            client.publish("plant/1", b"from paho", qos=1)
            async with asyncio.timeout(PATIENCE_S):
                assert [message.payload for message in await reader.receive()] == [b"from paho"]
    finally:
        client.disconnect()
        client.loop_stop()


async def test_who_never_ends_the_handshake_holds_nobody_up(running: RunningBroker, ca: Path, client: Client) -> None:
    with socket.create_connection(("127.0.0.1", running.tls_port)) as silent:
        silent.sendall(b"\x16\x03\x01")
        async with client(running.secure(ca), "device") as device:
            await device.publish([("plant/1", b"x")])


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
async def test_a_certificate_that_is_missing_or_has_another_key_is_one_line(kind: str, tmp_path: Path) -> None:
    _, files = certificates(tmp_path / "tls")
    _, others = certificates(tmp_path / "other")
    start = {"embedded": embedded, "mosquitto": mosquitto}[kind]
    for broken in (TlsFiles(files.certificate, others.key), TlsFiles(tmp_path / "nowhere", files.key)):
        with pytest.raises(TlsError, match="ronda certs"):
            async with start(tmp_path, tls=broken):
                pass


async def test_when_the_second_port_is_taken_the_first_is_free_again(tmp_path: Path) -> None:
    _, files = certificates(tmp_path / "tls")
    async with embedded(tmp_path / "first", tls=files) as first:
        taken, port = Listener("127.0.0.1", first.tls_port, files), free_port()
        second = EmbeddedBroker(tmp_path / "second", "127.0.0.1", port, first.credentials, [], {}, further=[taken])
        with pytest.raises(EmbeddedBrokerError, match=f"127.0.0.1:{first.tls_port}"):
            await second.start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
        other = Mosquitto(tmp_path / "third", "127.0.0.1", port, first.credentials, [], further=[taken])
        with pytest.raises(MosquittoError, match=f"127.0.0.1:{first.tls_port}"):
            await other.start()
