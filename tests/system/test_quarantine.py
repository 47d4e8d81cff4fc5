"""A sensor's range was too narrow: what was refused is looked at, let in once by the command, and the ledger agrees."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from tests.support.installation import Ronda, until

BOOT = "00000000000000d7"
DEVICE = "plant-1/narrow"
_BOTH = """
SELECT (SELECT count(*) FROM readings WHERE device = 'narrow'),
       (SELECT count(*) FROM rejected WHERE device = 'narrow' AND settled_at_ms IS NULL)
"""


def ledger(ronda: Ronda, *options: str) -> dict[str, Any]:
    [row] = json.loads(ronda.run("ledger", "--device", DEVICE, "--json", *options, "--data", str(ronda.data)))["items"]
    return {name: row[name] for name in ("sent", "stored", "rejected", "pending", "lost")}


def counts(sent: int, stored: int, rejected: int, lost: int = 0) -> dict[str, int]:
    pending = sent - stored - rejected - lost
    return {"sent": sent, "stored": stored, "rejected": rejected, "pending": pending, "lost": lost}


def test_what_a_narrow_range_refused_is_let_in_once_by_the_command(ronda: Ronda) -> None:
    data = ("--data", str(ronda.data))
    device = json.loads(ronda.run("device", "add", DEVICE, "--json", *data))

    def publish(**message: Any) -> None:
        subprocess.run(
            ["mosquitto_pub", "-p", str(ronda.mqtt_port), "-u", device["username"], "-P", device["password"],
             "-q", "1", "-t", f"ronda/v1/{DEVICE}/telemetry", "-s"],
            input=json.dumps({"boot": BOOT, **message}).encode(), check=True, timeout=30,
        )  # fmt: skip

    def reading(seq: int, value: float) -> dict[str, Any]:
        return {"seq": seq, "ts": int(time.time() * 1000), "values": {"temperature_c": value}}

    assert "20 to 60" in ronda.run("device", "metrics", DEVICE, "--set", "temperature_c:low=20,high=60", *data)
    publish(readings=[reading(seq, 99 if seq in {1, 2} else 30) for seq in range(5)])
    until(lambda: True if ronda.sql(_BOTH) == [(3, 2)] else None, "three stored, two refused")
    assert ledger(ronda) == counts(5, 3, 2)
    assert ronda.run("quarantine", "list", "--device", DEVICE, *data).count(" waits    ") == 2
    [entry, *_] = json.loads(ronda.run("quarantine", "list", "--device", DEVICE, "--json", *data))["items"]
    shown = ronda.run("quarantine", "show", entry["id"], *data)
    assert '"temperature_c":99' in shown
    assert "widen the range" in shown

    ronda.run("device", "metrics", DEVICE, "--set", "temperature_c:high=any", *data)
    said = ronda.run("quarantine", "replay", "--device", DEVICE, *data)
    assert "2 stored, 0 refused, 0 pending, 0 impossible" in said
    assert ledger(ronda, "--fail-on-lost") == counts(5, 5, 0)
    assert ronda.sql(_BOTH) == [(5, 0)]

    publish(**reading(10, 30), oldest=8)
    until(lambda: True if ledger(ronda)["lost"] else None, "three readings that are lost")
    assert ledger(ronda) == counts(11, 6, 0, lost=3)
    done = ronda._command(("ledger", "--device", DEVICE, "--fail-on-lost", *data), 60)
    assert done.returncode == 1

    publish(**reading(11, -99))
    until(lambda: True if ronda.sql(_BOTH) == [(6, 1)] else None, "one refused")
    archived = ronda.run("quarantine", "archive", "--device", DEVICE, *data)
    [file] = (ronda.data / "quarantine").iterdir()
    assert file.name in archived
    assert ledger(ronda) == counts(12, 6, 1, lost=3)
    ronda.run("device", "metrics", DEVICE, "--set", "temperature_c:low=any", *data)
    assert "1 stored, 0 refused" in ronda.run("quarantine", "replay", "--from", str(file), *data)
    assert ledger(ronda) == counts(12, 7, 0, lost=3)
    assert not file.exists()
