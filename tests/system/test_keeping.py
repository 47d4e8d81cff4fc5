"""What a running installation keeps: exported, shown by `ronda retention`, and erased without a trace."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from tests.support.installation import Ronda, until
from tests.system.conftest import Make


def _machines(ronda: Ronda) -> list[tuple[str, str]]:
    found = ronda.sql("SELECT site, device FROM promotions GROUP BY 1, 2 ORDER BY 1, 2")
    return [(site, device) for site, device in found]


async def _retained(ronda: Ronda, party: str, channel: str, wanted: set[str]) -> set[str]:
    """The devices of which the broker retains something, once those of `wanted` were heard."""
    runtime, password = ronda.runtime(), ronda.secrets()["services"][party]
    address = MqttAddress.parse(f"mqtt://{party}:{password}@{runtime['mqtt_host']}:{runtime['mqtt_port']}")
    heard: set[str] = set()
    async with asyncio.timeout(30), MqttBus(address, f"test-{channel}", persistent=False) as bus:
        await bus.subscribe(f"ronda/v1/+/+/{channel}")
        while not wanted <= heard:
            messages = await bus.receive()
            heard |= {message.topic.split("/")[3] for message in messages if message.retain and message.payload}
            await bus.acknowledge(messages)
    return heard


def test_a_device_is_exported_and_then_erased_while_the_others_go_on(make_ronda: Make, tmp_path: Path) -> None:
    ronda = make_ronda("--devices", "2").start()
    ronda.until_ready()
    machines = until(lambda: found if len(found := _machines(ronda)) >= 3 else None, "three models", 120)
    (site, device), (_, other), *_ = machines
    data = ("--data", str(ronda.data))

    said = ronda.run("export", f"{site}/{device}", *data, "--into", str(tmp_path / "out"))
    folder = tmp_path / "out" / f"{site}.{device}"
    with (folder / "readings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 1800, said
    assert json.loads((folder / "about.json").read_text())["rows"]["readings.csv"] == len(rows)

    assert "readings are kept 90 days, minutes 730 days, hours for ever" in ronda.run("retention", *data)
    assert "nothing is older" in ronda.run("retention", "--apply", *data)

    ronda.run("device", "add", "plant-9/spare", *data)
    said = ronda.run("erase", f"{site}/{device}", "--yes", *data, timeout=180)
    assert f"{site}/{device} is erased" in said
    assert "remains: its name in the register, revoked" in said
    tables = ronda.sql("""
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name IN ('site', 'device') GROUP BY 1 HAVING count(*) = 2
    """)
    left = {
        name: rows for (name,) in tables
        if (rows := ronda.sql(f"SELECT count(*) FROM {name} WHERE site = '{site}' AND device = '{device}'")[0][0])
    }  # fmt: skip
    assert left == {"devices": 1}
    assert device not in asyncio.run(_retained(ronda, "web", "stored", {other}))
    assert device not in asyncio.run(_retained(ronda, "operator", "status", {other}))
    assert not list((ronda.data / "mlflow").glob(f"in-force/{site}.{device}.*"))
    assert any(line["event"] == "device.erased" for line in ronda.log_lines())
    before = ronda.sql("SELECT count(*) FROM readings")
    until(lambda: ronda.sql("SELECT count(*) FROM readings") > before or None, "the others go on")
    code, line = ronda.refusal("erase", "plant-9/nobody", "--yes", *data)
    assert (code, line) == (1, "ronda: there is no device plant-9/nobody")
