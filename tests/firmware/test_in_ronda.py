"""Devices on a real `ronda up`: what they measured is in the database, once, also after an outage; counted by SQL."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware.micropython import command
from tests.firmware.conftest import Make
from tests.firmware.esp32 import HEAP, LSB_PER_G, Esp32, as_sampled, turning
from tests.support.installation import ROOT, Ronda, until

# At ±8 g, which is what a device starts with, the sensor keeps a quarter of the numbers of ±2 g.
COARSER = 4
SMALL_RING = 10
# More than wait in memory, so that the outage is bridged by flash.
OUTAGE_READINGS = 18
KILLS = 3

pytestmark = pytest.mark.serial


@contextlib.contextmanager
def running(data: Path, broker: str) -> Iterator[Ronda]:
    """A running installation with one emulated pump."""
    installation = Ronda(data, "--devices", "1", "--broker", broker).start()
    try:
        installation.until_ready()
        yield installation
    finally:
        installation.stop()


def credentials(ronda: Ronda, name: str) -> dict[str, str]:
    """What the owner is shown when the device is added."""
    shown: dict[str, str] = json.loads(
        ronda.run("device", "add", f"plant-1/{name}", "--json", "--data", str(ronda.data))
    )
    return shown


def added(ronda: Ronda, make_device: Make, name: str, **options: Any) -> Esp32:
    """A device as its owner adds it and starts it."""
    address = {"host": "127.0.0.1", "port": ronda.mqtt_port, "password": credentials(ronda, name)["password"]}
    device: Esp32 = make_device("plant-1", name, mqtt=address, **options)
    return device.start()


def rows(ronda: Ronda, device: Esp32) -> tuple[Any, ...]:
    """(rows, distinct seqs, lowest, highest) of the newest power-up."""
    query = "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM readings WHERE boot = '{}'"
    return ronda.sql(query.format(device.boot))[0]


def until_stored(ronda: Ronda, device: Esp32, at_least: int) -> None:
    until(lambda: (rows(ronda, device)[3] or 0) >= at_least - 1 or None, lambda: str(rows(ronda, device)), 40)


@pytest.fixture(scope="module")
def ronda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ronda]:
    """One with the embedded broker, for all that it can serve."""
    with running(tmp_path_factory.mktemp("ronda") / "data", "embedded") as installation:
        yield installation


def examples(language: str) -> str:
    """The examples in this language of the page on HTTP, one after the other."""
    page = (ROOT / "docs" / "esp32" / "http.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


def test_the_examples_with_curl_work_as_they_stand_in_the_document(ronda: Ronda, tmp_path: Path) -> None:
    password = credentials(ronda, "pump-09")["password"]
    variables = {"RONDA": ronda.url, "DEVICE": "plant-1/pump-09", "PASSWORD": password}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", examples("bash")],
        env=os.environ | variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"accepted"') == 2
    assert done.stdout.splitlines()[-1].endswith("time_in_seconds")
    stored = "SELECT values[1] FROM readings WHERE device = 'pump-09' ORDER BY values[1]"
    found = until(lambda: said if len(said := ronda.sql(stored)) == 3 else None, "the readings of curl")
    assert [value for (value,) in found] == [61.2, 61.3, 61.3]


def test_the_example_of_an_esp32_over_http_works_as_it_stands_in_the_document(ronda: Ronda, tmp_path: Path) -> None:
    password = credentials(ronda, "pump-10")["password"]
    code = examples("python").replace("http://192.168.1.10:8000", ronda.url)
    code = code.replace('"pump-09", "what was shown"', f'"pump-10", "{password}"')
    (tmp_path / "example.py").write_text(code)
    run = [*command(), "-X", HEAP, "example.py"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:3] for line in done.stdout.splitlines()] == ["201"] * 3
    assert ronda.sql("SELECT seq, values[1] FROM readings WHERE device = 'pump-10' ORDER BY seq") == [
        (0, 61.0), (1, pytest.approx(61.1)), (2, pytest.approx(61.2)),
    ]  # fmt: skip


def test_killing_mosquitto_loses_nothing(make_device: Make, tmp_path: Path) -> None:
    with running(tmp_path / "data", "mosquitto") as ronda:
        device = added(ronda, make_device, "esp-1")
        until_stored(ronda, device, 2)
        for times in range(KILLS):
            next(process for process in ronda.family() if process.name() == "mosquitto").kill()
            device.until_said("mqtt.lost", times=times + 1)
            device.until_said("mqtt.connected", times=times + 2)
        _all_are_there(ronda, device, KILLS)


def _all_are_there(ronda: Ronda, device: Esp32, at_least: int) -> None:
    """What Mosquitto acknowledged and forgot is sent again ten seconds later, behind what came since."""
    wanted = max(at_least, device.kept)

    def whole() -> bool | None:
        count, distinct, lowest, highest = rows(ronda, device)
        return True if (count, distinct, lowest) == (highest + 1, highest + 1, 0) and count >= wanted else None

    until(whole, lambda: f"{wanted} stored without a gap: {rows(ronda, device)}", 60)


def test_when_all_of_ronda_stops_and_starts_nothing_is_lost_but_what_a_full_ring_dropped_and_counted(
    ronda: Ronda, make_device: Make
) -> None:
    device = added(ronda, make_device, "esp-1")
    small = added(ronda, make_device, "esp-small")
    until_stored(ronda, device, 2)
    until_stored(ronda, small, 2)
    _the_owner_configures(ronda)
    _values_are_those_of_numpy(ronda, device)
    ronda.stop()
    before, small_before = device.kept, small.kept
    until(lambda: device.kept >= before + OUTAGE_READINGS or None, "readings during the outage", 60)
    ronda.start()
    ronda.until_ready()
    _all_are_there(ronda, device, before + OUTAGE_READINGS)
    device.until_said("mqtt.lost")
    _the_oldest_are_lost_and_counted(ronda, small, small_before)


def _the_owner_configures(ronda: Ronda) -> None:
    tell = ("device", "configure", "plant-1/esp-small", "--data", str(ronda.data))
    assert f"ring_readings={SMALL_RING}" in ronda.run(*tell, f"ring_readings={SMALL_RING}")
    with pytest.raises(AssertionError, match="refuses: ring_readings must be 10 to 30000"):
        ronda.run(*tell, "ring_readings=0")


def _values_are_those_of_numpy(ronda: Ronda, device: Esp32) -> None:
    """Through FIFO, device, MQTT and chain: any thousand samples in a row of a repeated second are alike."""
    metrics = [metric["name"] for metric in json.loads(_metrics(ronda, "esp-1"))]
    (values,) = ronda.sql(f"SELECT values FROM readings WHERE boot = '{device.boot}' AND seq = 1")[0]
    seen = (np.frombuffer(as_sampled(turning()), ">i2").reshape(-1, 3) >> 2) * COARSER / LSB_PER_G
    moved = seen - seen.mean(axis=0)
    stored = dict(zip(metrics, values, strict=True))
    rms = float(np.sqrt((moved**2).sum(axis=1).mean()))
    assert stored["vibration_rms_g"] == pytest.approx(rms, rel=1e-4)
    assert [stored[f"vibration_{axis}_rms_g"] for axis in "xyz"] == pytest.approx(moved.std(axis=0), rel=1e-4)
    assert stored["vibration_peak_g"] == pytest.approx(np.sqrt((moved**2).sum(axis=1)).max(), abs=1 / LSB_PER_G)
    assert stored["temperature_c"] == 61.25


def _metrics(ronda: Ronda, device: str) -> str:
    return str(ronda.sql(f"SELECT metrics::text FROM devices WHERE device = '{device}'")[0][0])


def _the_oldest_are_lost_and_counted(ronda: Ronda, small: Esp32, before: int) -> None:
    until_stored(ronda, small, small.kept)
    query = f"SELECT seq FROM readings WHERE boot = '{small.boot}' ORDER BY seq"
    stored = [seq for (seq,) in ronda.sql(query)]
    gap = sorted(set(range(stored[-1] + 1)) - set(stored))
    # One gap: what was stored before the outage, then nothing, then the newest ten and all that came after.
    assert gap == list(range(gap[0], gap[-1] + 1))
    assert gap[0] <= before + 1
    account = next(row for row in ronda.get("/api/v1/ledger")["items"] if row["device"] == "esp-small")
    assert account["lost"] == len(gap) >= OUTAGE_READINGS - SMALL_RING - 2
