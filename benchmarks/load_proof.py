"""Locust over HTTP and over MQTT against a real installation; afterwards SQL counts what the users counted."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.load_chart import ASKED_PER_S, Panel, draw, read_history
from benchmarks.machine import described
from tests.support.installation import ROOT, Ronda

# On the golden-path page and in the README.
PICTURE = ROOT / "dashboard" / "assets" / "load-proof.png"
SCRIPTS = {"http": "http_readings.py", "mqtt": "mqtt_readings.py"}
# Title, the row that is the load, and the rows whose latency is drawn.
DRAWN = {
    "http": ("HTTP bridge", "/api/v1/ingest", {"to the answer": "/api/v1/ingest"}),
    "mqtt": ("MQTT, QoS 1", "publish", {"to the store": "stored", "to the acknowledgement": "publish"}),
}
# The rows of Locust's table that are load; `stored` is the way from the same publish to the store.
COUNTED = ("/api/v1/ingest", "publish", "stored")
# Readings that the broker has acknowledged are stored a moment later.
_SETTLE_S = 30.0


def main(arguments: Sequence[str]) -> None:
    """Run both scripts, one after the other, and compare; ends with 1 when anything was lost, doubled or refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description=__doc__)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=float, default=10, help="readings a second and user")
    parser.add_argument("--spawn", type=int, default=20, help="users that begin in a second")
    parser.add_argument("--broker", choices=["embedded", "mosquitto"], default="embedded")
    parser.add_argument("--evidence", type=Path, help="a folder for the tables, the page and the picture")
    options = parser.parse_args(arguments)
    print(described())
    with tempfile.TemporaryDirectory() as folder:
        ronda = Ronda(Path(folder) / "data", "--devices", "0", "--broker", options.broker).start()
        try:
            ronda.until_ready()
            accounts = _add_devices(ronda, options.users, Path(folder) / "accounts.json")
            runs = [_run(ronda, accounts, name, options) for name in SCRIPTS]
        finally:
            ronda.stop()
        if options.evidence:
            keep(runs, Path(folder), options.evidence)
    if not all(run.good for run in runs):
        sys.exit(1)


def redraw(arguments: Sequence[str]) -> None:
    """Draw the picture again from a folder of evidence."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks draw", description=redraw.__doc__)
    parser.add_argument("evidence", type=Path, nargs="?", default=ROOT / "docs" / "evidence" / "load")
    draw_proof(parser.parse_args(arguments).evidence)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one script asked and got, and what SQL counted afterwards. `requests_per_s` over the whole run."""

    script: str
    users: int
    seconds: int
    broker: str
    requests: int
    failures: int
    requests_per_s: float
    latency_ms: dict[str, dict[str, float]]
    accepted: int
    stored: int
    distinct: int

    @property
    def good(self) -> bool:
        """Nothing refused, nothing lost, nothing doubled, and as fast as was asked."""
        whole = self.stored == self.distinct == self.accepted
        return whole and not self.failures and self.requests_per_s >= ASKED_PER_S


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What `load.json` holds."""

    machine: str
    runs: Sequence[Run]


def keep(runs: Sequence[Run], folder: Path, evidence: Path) -> None:
    """Tables, pages and the picture of `runs`, from Locust's files in `folder`."""
    evidence.mkdir(parents=True, exist_ok=True)
    for run in runs:
        for kind in ("_stats.csv", "_stats_history.csv", "_failures.csv", ".html"):
            shutil.copy(folder / f"{run.script}{kind}", evidence / f"{run.script}{kind}")
    proof = Proof(machine=described(), runs=runs)
    (evidence / "load.json").write_bytes(msgspec.json.format(msgspec.json.encode(proof)) + b"\n")
    draw_proof(evidence)


def draw_proof(evidence: Path) -> None:
    """The picture, from what stands in the folder."""
    proof = msgspec.json.decode((evidence / "load.json").read_bytes(), type=Proof)
    draw([_panel(run, evidence / f"{run.script}_stats_history.csv") for run in proof.runs], proof.machine, PICTURE)


def _panel(run: Run, history: Path) -> Panel:
    title, load, ways = DRAWN[run.script]
    return Panel(
        title=title,
        result=f"{run.accepted:,} readings accepted, {run.failures} failed, {run.distinct:,} distinct in SQL",
        load=read_history(history, load),
        latencies={way: read_history(history, name) for way, name in ways.items()},
    )


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


def _run(ronda: Ronda, accounts: Path, name: str, options: argparse.Namespace) -> Run:
    result, files = accounts.with_name(f"{name}-count.json"), accounts.with_name(name)
    host = ronda.url if name == "http" else f"mqtt://127.0.0.1:{ronda.mqtt_port}"
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks" / "load" / SCRIPTS[name]), "--headless",
        "--only-summary", "--host", host, "-u", str(options.users), "-r", str(options.spawn),
        "-t", f"{options.seconds}s", "--csv", str(files), "--csv-full-history", "--html", f"{files}.html",
    ]  # fmt: skip
    environment = os.environ | {
        "RONDA_LOAD_CREDENTIALS": str(accounts),
        "RONDA_LOAD_RESULT": str(result),
        "RONDA_LOAD_RATE": str(options.rate),
    }
    print(f"\n{name}, {options.broker} broker: {options.users} users for {options.seconds} s", flush=True)
    subprocess.run(command, env=environment, check=False, cwd=ROOT)
    counted = json.loads(result.read_text())
    stored, distinct = _stored(ronda, counted)
    totals = read_totals(Path(f"{files}_stats.csv"))
    run = Run(
        script=name,
        users=options.users,
        seconds=options.seconds,
        broker=options.broker,
        accepted=counted["accepted"],
        stored=stored,
        distinct=distinct,
        **totals,
    )
    print(
        f"{name}: {run.requests_per_s:,.0f} requests/s, accepted {run.accepted:,}, failures {run.failures}, "
        f"rows in SQL {stored:,}, distinct identities {distinct:,}",
        flush=True,
    )
    return run


def read_totals(path: Path) -> dict[str, Any]:
    """Requests, failures, rate and latency per row of Locust's `…_stats.csv`; logging in is not counted as load."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] in COUNTED]
    told = [row for row in rows if row["Name"] != "stored"]
    return {
        "requests": sum(int(row["Request Count"]) for row in told),
        "failures": sum(int(row["Failure Count"]) for row in rows),
        "requests_per_s": round(sum(float(row["Requests/s"]) for row in told), 1),
        "latency_ms": {
            row["Name"]: {"p50": float(row["50%"]), "p95": float(row["95%"]), "p99": float(row["99%"])} for row in rows
        },
    }


def _stored(ronda: Ronda, counted: dict[str, Any]) -> tuple[int, int]:
    boots = ", ".join(f"'{boot['boot']}'" for boot in counted["boots"])
    query = f"SELECT count(*), count(DISTINCT (site, device, boot, seq)) FROM readings WHERE boot IN ({boots})"
    end = time.monotonic() + _SETTLE_S
    while ronda.sql(query)[0][0] < counted["accepted"] and time.monotonic() < end:
        time.sleep(0.5)
    stored, distinct = ronda.sql(query)[0]
    return int(stored), int(distinct)
