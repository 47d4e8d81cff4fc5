"""The load script for MQTT counts what the broker accepted, and every one of these readings is there once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.edge.store import listening
from tests.support.brokers import embedded

ROOT = Path(__file__).parents[2]
NAMES = ["load-01", "load-02", "load-03"]


async def test_what_the_load_script_says_was_accepted_is_what_arrived(tmp_path):
    users = [f"load/{name}" for name in NAMES]
    async with embedded(tmp_path, devices=users) as broker, listening(broker.bus("store"), "load") as store:
        accounts = [
            {"site": "load", "device": name, "username": user, "password": broker.passwords[user]}
            for name, user in zip(NAMES, users, strict=True)
        ]
        (tmp_path / "accounts.json").write_text(json.dumps(accounts))
        command = [sys.executable, "-m", "locust", "-f", "benchmarks/load/mqtt_readings.py", "--headless"]
        options = ["--host", f"mqtt://127.0.0.1:{broker.port}", "-u", "3", "-r", "3", "-t", "3s", "--only-summary"]
        environment = {
            "RONDA_LOAD_CREDENTIALS": str(tmp_path / "accounts.json"),
            "RONDA_LOAD_RESULT": str(tmp_path / "result.json"),
            "RONDA_LOAD_BATCH": "2",
        }
        done = await asyncio.to_thread(
            subprocess.run, [*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    told = {(row["device"], row["boot"]): row["accepted"] for row in result["boots"]}
    arrived = {(name, boot): len(rows) for name, rows in store.rows.items() for boot in {b for b, _ in rows}}
    assert told == arrived
    assert result["accepted"] > 20
    assert result["errors"] == 0
