"""Open to the network with TLS: a device with the authority's certificate alone, HTTPS, the page in a browser."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.enums import CallbackAPIVersion
from playwright.async_api import async_playwright

from ronda.tls.certs import main_address
from tests.support.installation import Ronda, until
from tests.support.picture import FLAGS, log_in
from tests.support.ports import free_port
from tests.system.test_lifecycle import refused

PATIENCE_S = 20.0


class Secured:
    """An installation that listens on all addresses, and what a device is given of it."""

    def __init__(self, folder: Path) -> None:
        plain = Ronda(folder / "data")
        plain.run("certs", "--data", str(plain.data), "--name", "ronda.example")
        self.ca = plain.data / "tls" / "ca.crt"
        self.mqtts_port = free_port()
        options = ("--listen", "0.0.0.0", "--mqtts-port", str(self.mqtts_port), "--devices", "0")
        self.ronda = Ronda(folder / "data", *options, ca=self.ca)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"))
    made.ronda.start()
    try:
        # Not `until_ready`: nobody here waits for the demonstration machines' models.
        made.ronda.until_up()
        until(lambda: made.ronda.said() if "processes" in made.ronda.said() else None, "its broker")
        yield made
    finally:
        made.ronda.stop()


def reading(**more: object) -> dict[str, object]:
    now = int(time.time() * 1000)
    return {"boot": secrets.token_hex(8), "seq": 0, "ts": now, "values": {"temperature_c": 21.5}, **more}


def stored(ronda: Ronda, device: str) -> bool | None:
    return bool(ronda.sql(f"SELECT 1 FROM readings WHERE site = 'plant-1' AND device = '{device}'")) or None


def add_device(ronda: Ronda, device: str) -> dict[str, str]:
    """By the command, which finds the API behind TLS by itself."""
    return json.loads(ronda.run("device", "add", f"plant-1/{device}", "--json", "--data", str(ronda.data)))


def test_a_device_that_knows_the_authority_publishes_and_is_stored(secured: Secured) -> None:
    account = add_device(secured.ronda, "esp32")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=account["username"])
    client.username_pw_set(account["username"], account["password"])
    client.tls_set(ca_certs=str(secured.ca))
    client.connect(main_address(), secured.mqtts_port)
    client.loop_start()
    try:
        client.publish("ronda/v1/plant-1/esp32/telemetry", json.dumps(reading()), qos=1).wait_for_publish(20)
        until(lambda: stored(secured.ronda, "esp32"), "the reading in the store")
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_program_posts_over_https_and_its_own_commands_find_it(secured: Secured) -> None:
    add_device(secured.ronda, "gateway")
    with secured.ronda.http() as client:
        answer = client.post("/api/v1/ingest?wait=stored", json=reading(site="plant-1", device="gateway"))
    assert answer.status_code == 201
    assert "plant-1/gateway" in secured.ronda.run("ledger", "--data", str(secured.ronda.data))


def test_who_does_not_know_the_authority_is_warned_by_its_own_library(secured: Secured) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{secured.ronda.url}/healthz")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{secured.ronda.http_port}/healthz")


def test_the_plain_broker_the_database_and_the_mail_server_stay_on_this_machine(secured: Secured) -> None:
    listening = {
        (line.laddr.ip, line.laddr.port)
        for process in secured.ronda.family()
        for line in process.net_connections(kind="inet")
        if line.status == "LISTEN"
    }
    outside = {port for address, port in listening if address != "127.0.0.1"}
    assert outside == {secured.ronda.http_port, secured.mqtts_port}
    assert ("127.0.0.1", secured.ronda.mqtt_port) in listening


def test_it_says_the_address_by_which_others_come(secured: Secured) -> None:
    address = main_address()
    assert secured.ronda.runtime()["base_url"] == f"https://{address}:{secured.ronda.http_port}"
    with httpx.Client(verify=ssl.create_default_context(cafile=secured.ca)) as client:
        answer = client.get(f"https://{address}:{secured.ronda.http_port}/healthz")
    assert answer.status_code == 200
    # It would forbid the browser every plain service of this host, whatever its port: see docs/decisions.
    assert "strict-transport-security" not in answer.headers


async def test_the_page_lives_in_a_browser_and_its_cookie_never_leaves_tls(secured: Secured) -> None:
    arguments = [*FLAGS, f"--ignore-certificate-errors-spki-list={pinned(secured.ca.parent / 'server.crt')}"]
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        page = await browser.new_page()
        heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        page.on(
            "websocket", lambda live: live.on("framereceived", lambda text: heard.put_nowait((live.url, str(text))))
        )
        await log_in(page, secured.ronda)
        async with asyncio.timeout(PATIENCE_S):
            address, first = await heard.get()
        cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
        await browser.close()
    assert "hello" in first
    assert address.startswith(f"wss://127.0.0.1:{secured.ronda.http_port}/")
    assert cookies["ronda_session"]["secure"]
    assert cookies["ronda_session"]["httpOnly"]


def pinned(certificate: Path) -> str:
    """The key of the certificate as Chromium wants it named, for want of a place for a private authority."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.b64encode(digest).decode()


def test_the_network_without_tls_is_refused_in_one_line(tmp_path: Path) -> None:
    line = refused(tmp_path, "--listen", "0.0.0.0")
    assert "ronda certs" in line
    assert "--insecure" in line
    assert not (tmp_path / "data").exists()
