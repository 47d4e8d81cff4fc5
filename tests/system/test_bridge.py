"""Readings published on another broker below a secret arrive in the store, and the watermark finds its way back."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.installation import Ronda, until
from tests.support.ports import free_port

SECRET = "a-secret-of-this-test"
BOOT = "00c0ffee00c0ffee"


@pytest.fixture
def public_broker(tmp_path: Path) -> Iterator[int]:
    """A broker that everybody may use, as the public ones are; yields its port."""
    port, config = free_port(), tmp_path / "public.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def watermarks(public_broker: int) -> Iterator[tuple[mqtt.Client, queue.Queue[int]]]:
    """A device on the public broker, and the watermarks that it is told."""
    heard: queue.Queue[int] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="wokwi-esp32")
    client.on_message = lambda _client, _data, message: heard.put(json.loads(message.payload)["through"])
    client.on_connect = lambda client, *_: client.subscribe(f"{SECRET}/ronda/v1/wokwi/esp32/stored", qos=1)
    until(lambda: connected(client, public_broker), "the public broker is up", 10)
    client.loop_start()
    yield client, heard
    client.disconnect()
    client.loop_stop()


def connected(client: mqtt.Client, port: int) -> bool | None:
    with contextlib.suppress(OSError):
        client.connect("127.0.0.1", port)
        return True
    return None


def test_a_simulated_device_on_a_public_broker_is_stored_and_told_so(
    ronda: Ronda, public_broker: int, watermarks: tuple[mqtt.Client, queue.Queue[int]]
) -> None:
    device, heard = watermarks
    command = ["--from", f"mqtt://127.0.0.1:{public_broker}", "--prefix", SECRET, "--data", str(ronda.data)]
    bridge = subprocess.Popen([sys.executable, "-m", "ronda", "bridge", *command], cwd=ronda.data.parent)
    try:
        for seq in range(5):
            until_stored(device, seq, heard)
        stored = ronda.sql(f"SELECT array_agg(seq ORDER BY seq) FROM readings WHERE boot = '{BOOT}'")
        assert stored == [([0, 1, 2, 3, 4],)]
    finally:
        bridge.terminate()
        assert bridge.wait(20) == 0


def until_stored(device: mqtt.Client, seq: int, heard: queue.Queue[int]) -> None:
    """Send a reading again and again until the watermark has reached it, as the firmware does."""
    row = {"boot": BOOT, "seq": seq, "ts": time.time_ns() // 1_000_000, "values": {"vibration_rms_g": 0.2}}
    payload = json.dumps(row)

    def stored() -> bool | None:
        device.publish(f"{SECRET}/ronda/v1/wokwi/esp32/telemetry", payload, qos=1).wait_for_publish(5)
        with contextlib.suppress(queue.Empty):
            while heard.get(timeout=2) < seq:
                pass
            return True
        return None

    until(stored, f"reading {seq} is stored")
