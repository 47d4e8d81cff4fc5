"""Locust over HTTP and over MQTT against a real installation; afterwards SQL counts what the users counted."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from tests.support.installation import ROOT, Ronda

SCRIPTS = {"http": "http_readings.py", "mqtt": "mqtt_readings.py"}
# Readings that the broker has acknowledged are stored a moment later.
_SETTLE_S = 30.0


def main(arguments: Sequence[str]) -> None:
    """Run both scripts, one after the other, and compare; ends with 1 when anything was lost, doubled or refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description=__doc__)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=float, default=10, help="readings a second and user")
    parser.add_argument("--broker", choices=["embedded", "mosquitto"], default="embedded")
    options = parser.parse_args(arguments)
    print(described())
    with tempfile.TemporaryDirectory() as folder:
        ronda = Ronda(Path(folder) / "data", "--devices", "0", "--broker", options.broker).start()
        try:
            ronda.until_ready()
            accounts = _add_devices(ronda, options.users, Path(folder) / "accounts.json")
            good = [_run(ronda, accounts, name, options) for name in SCRIPTS]
        finally:
            ronda.stop()
    if not all(good):
        sys.exit(1)


def _add_devices(ronda: Ronda, users: int, path: Path) -> Path:
    accounts = []
    with ronda.http() as client:
        for number in range(users):
            name = {"site": "load", "device": f"load-{number:03d}"}
            answer = client.post("/api/v1/devices", json=name)
            answer.raise_for_status()
            accounts.append(name | {key: answer.json()[key] for key in ("username", "password")})
    path.write_text(json.dumps(accounts))
    return path


def _run(ronda: Ronda, accounts: Path, name: str, options: argparse.Namespace) -> bool:
    result = accounts.with_name(f"{name}.json")
    host = ronda.url if name == "http" else f"mqtt://127.0.0.1:{ronda.mqtt_port}"
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks" / "load" / SCRIPTS[name]), "--headless",
        "--only-summary", "--host", host, "-u", str(options.users), "-r", str(options.users),
        "-t", f"{options.seconds}s",
    ]  # fmt: skip
    environment = os.environ | {
        "RONDA_LOAD_CREDENTIALS": str(accounts),
        "RONDA_LOAD_RESULT": str(result),
        "RONDA_LOAD_RATE": str(options.rate),
    }
    print(f"\n{name}, {options.broker} broker: {options.users} users for {options.seconds} s", flush=True)
    done = subprocess.run(command, env=environment, check=False, cwd=ROOT)
    counted = json.loads(result.read_text())
    stored, distinct = _stored(ronda, counted)
    print(
        f"{name}: accepted {counted['accepted']:,}, errors {counted['errors']}, "
        f"rows in SQL {stored:,}, distinct identities {distinct:,}",
        flush=True,
    )
    return done.returncode == 0 and not counted["errors"] and stored == distinct == counted["accepted"]


def _stored(ronda: Ronda, counted: dict[str, Any]) -> tuple[int, int]:
    boots = ", ".join(f"'{boot['boot']}'" for boot in counted["boots"])
    query = f"SELECT count(*), count(DISTINCT (site, device, boot, seq)) FROM readings WHERE boot IN ({boots})"
    end = time.monotonic() + _SETTLE_S
    while ronda.sql(query)[0][0] < counted["accepted"] and time.monotonic() < end:
        time.sleep(0.5)
    stored, distinct = ronda.sql(query)[0]
    return int(stored), int(distinct)
