"""A big fleet at a whole installation: every machine an emulated pump with its own credentials and connection.

A machine measures once a second. When all of them are stored for the first time, a window begins; in it each machine
measures as many readings as there are seconds, so what must be stored is known without asking anybody. At the end the
machines say good-bye, and SQL counts. Memory is that of the last second. No machine has a model: they would learn for
half an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from benchmarks.lag import Lag, ages, lag_between
from benchmarks.machine import described
from benchmarks.places import Installation
from benchmarks.resources import Look, Used, table
from broker.credentials import Credentials
from edge.member import Member
from ronda.installation import Installation as Folder
from ronda.installation import write_private
from tests.support.installation import Ronda, until
from tests.support.ports import free_port

SITE = "fleet"
# Fifty machines begin in a second; on a machine that does something else besides, a sixth of that.
_PER_START_S = 0.3
_SLACK_S = 60.0
# Good-byes of all at once, and the emulator's own patience with each.
_LEAVE_WITHIN_S = 60.0
# What was under way when the last one left.
_SETTLE_S = 60.0
_TELL_EVERY_S = 15
_SECOND_MS = 1000


class Counted(msgspec.Struct, frozen=True):
    """By SQL, over the readings themselves. `lag_ms`: 95 of 100 were at the door by then."""

    in_window: int
    stored: int
    distinct: int
    gaps: int
    lag_p50_ms: float
    lag_p95_ms: float


class Farewell(msgspec.Struct, frozen=True):
    """What the machines said when they left: readings without the store's word by then, and those that did not fit."""

    machines: int
    held: int
    dropped: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    devices: int
    seconds: int
    broker: str
    due: int
    counted: Counted
    ledger: dict[str, int]
    farewell: Farewell
    used: dict[str, Used]
    stored_lag: Lag
    busy: float

    def complaints(self) -> list[str]:
        """What was promised and is not so."""
        counted, ledger, left = self.counted, self.ledger, self.farewell
        unsettled = f"{ledger['lost']:,} lost, {ledger['pending']:,} pending, {ledger['rejected']:,} refused"
        wrong = {
            f"{self.due:,} readings were due in the window, {counted.in_window:,} are stored": counted.in_window
            != self.due,
            f"{counted.stored - counted.distinct:,} readings are doubled": counted.stored != counted.distinct,
            f"{counted.gaps:,} numbers are missing": counted.gaps > 0,
            f"the ledger: {unsettled}": any(ledger[name] for name in ("lost", "pending", "rejected")),
            f"the ledger says {ledger['stored']:,} stored, SQL {counted.stored:,}": ledger["stored"] != counted.stored,
            f"{left.dropped:,} readings did not fit into a machine's memory": left.dropped > 0,
        }
        return [text for text, is_so in wrong.items() if is_so]


def main(arguments: Sequence[str]) -> None:
    """Run, print, and end with 1 when a reading is missing or doubled."""
    options = _options(arguments)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    tell(described())
    tell(f"{options.devices:,} machines, one reading of eight values a second each, broker {options.broker}")
    with tempfile.TemporaryDirectory(prefix="ronda-fleet-") as folder:
        result = _run(Path(folder) / "data", options, tell)
    complaints = result.complaints()
    for line in [*_report(result), *(f"FAILED: {each}" for each in complaints)]:
        tell(line)
    if options.evidence:
        options.evidence.mkdir(parents=True, exist_ok=True)
        (options.evidence / "fleet.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    sys.exit(1 if complaints else 0)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--broker", choices=["mosquitto", "embedded"], default="mosquitto")
    parser.add_argument("--evidence", type=Path, help="the folder to write fleet.txt into")
    return parser.parse_args(arguments)


def _run(data: Path, options: argparse.Namespace, tell: Callable[[str], None]) -> Result:
    metrics_port = free_port()
    environment = {"METRICS_PORT": str(metrics_port)}
    ronda = Ronda(data, "--devices", "0", "--broker", options.broker, environment=environment).start()
    try:
        ronda.until_ready()
        began = time.monotonic()
        _admit(ronda, options.devices)
        _until_all_speak(ronda, options.devices)
        tell(f"all connected and stored after {time.monotonic() - began:.0f} s")
        return _measured(ronda, options, f"http://127.0.0.1:{metrics_port}/metrics", tell)
    finally:
        ronda.stop()


def _admit(ronda: Ronda, devices: int) -> None:
    """The emulator of the installation follows its file: these machines, and no others."""
    folder = Folder(ronda.data)
    members = [
        Member(
            site=SITE,
            device=f"pump-{number:04d}",
            username=f"{SITE}/pump-{number:04d}",
            password=Credentials.new_password(),
            history_rows=0,
        )
        for number in range(devices)
    ]
    Credentials(folder.passwd).set_all({member.username: member.password for member in members})
    write_private(folder.fleet, msgspec.json.encode(members))


def _until_all_speak(ronda: Ronda, devices: int) -> None:
    query = f"SELECT count(DISTINCT device) FROM boots WHERE site = '{SITE}'"

    def spoken() -> bool | None:
        return True if _value(ronda, query) == devices else None

    until(spoken, f"{devices} machines at the store", devices * _PER_START_S + _SLACK_S)


def _measured(ronda: Ronda, options: argparse.Namespace, metrics: str, tell: Callable[[str], None]) -> Result:
    processes = Installation(ronda).processes() | {"emulate": ronda.part("emulate")}
    seconds = round(options.minutes * 60)
    # Whole seconds: each machine measures once between two of them.
    first_s = int(time.time()) + 1
    time.sleep(first_s - time.time())
    look, before = Look(processes), ages(httpx.get(metrics).text, "historian")
    psutil.cpu_percent()
    for passed in _ticks(first_s, seconds):
        tell(f"  {passed:>4} s  {_ledger_words(_ledger(ronda))}")
    used, busy = look.since(seconds), psutil.cpu_percent() / 100
    stored_lag = lag_between(before, ages(httpx.get(metrics).text, "historian"))
    farewell = _farewell(ronda, options.devices)
    ledger = _settled(ronda)
    return Result(
        devices=options.devices,
        seconds=seconds,
        broker=options.broker,
        due=options.devices * seconds,
        counted=_counted(ronda, first_s * _SECOND_MS, (first_s + seconds) * _SECOND_MS),
        ledger=ledger,
        farewell=farewell,
        used=used,
        stored_lag=stored_lag,
        busy=busy,
    )


def _ticks(first_s: int, seconds: int) -> Iterator[int]:
    """Wakes up now and then until the window is over, with the seconds that have passed."""
    for passed in [*range(_TELL_EVERY_S, seconds, _TELL_EVERY_S), seconds]:
        time.sleep(max(0.0, first_s + passed - time.time()))
        yield passed


def _farewell(ronda: Ronda, devices: int) -> Farewell:
    """No machine belongs to the fleet any more: each waits for the store's word on its last readings, and leaves."""
    write_private(Folder(ronda.data).fleet, b"[]")
    log = ronda.data / "logs" / "emulator.jsonl"

    def left() -> list[dict[str, Any]] | None:
        lines = [msgspec.json.decode(line) for line in log.read_bytes().splitlines() if b"device.stopped" in line]
        ours = [line for line in lines if line["site"] == SITE]
        return ours if len(ours) >= devices else None

    said = until(left, f"good-byes of {devices} machines", _LEAVE_WITHIN_S)
    return Farewell(len(said), sum(line["held"] for line in said), sum(line["dropped"] for line in said))


def _settled(ronda: Ronda) -> dict[str, int]:
    """The ledger, once nothing is on its way any more; as it is when that takes too long."""
    end = time.monotonic() + _SETTLE_S
    while (ledger := _ledger(ronda))["pending"] and time.monotonic() < end:
        time.sleep(1)
    return ledger


def _counted(ronda: Ronda, from_ms: int, to_ms: int) -> Counted:
    inside = f"measured_at_ms >= {from_ms} AND measured_at_ms < {to_ms}"
    identity = "(device, boot, seq)"
    lag = "WITHIN GROUP (ORDER BY received_at_ms - measured_at_ms)"
    [row] = ronda.sql(
        f"SELECT count(*) FILTER (WHERE {inside}), count(*), "
        f"count(DISTINCT {identity}), percentile_cont(0.5) {lag} FILTER (WHERE {inside}), "
        f"percentile_cont(0.95) {lag} FILTER (WHERE {inside}) FROM readings WHERE site = '{SITE}'"
    )
    gaps = _value(
        ronda,
        f"SELECT sum(missing) FROM (SELECT max(seq) + 1 - count(*) AS missing FROM readings WHERE site = '{SITE}' "
        "GROUP BY device, boot) AS boots",
    )
    in_window, stored, distinct, p50, p95 = row
    return Counted(in_window, stored, distinct, gaps, p50, p95)


def _value(ronda: Ronda, query: str) -> int:
    return int(ronda.sql(query)[0][0])


def _ledger(ronda: Ronda) -> dict[str, int]:
    items = ronda.get("/api/v1/ledger", site=SITE)["items"]
    return {name: sum(item[name] or 0 for item in items) for name in ("sent", "stored", "pending", "rejected", "lost")}


def _ledger_words(ledger: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in ledger.items())


def _report(result: Result) -> list[str]:
    counted, left, lag = result.counted, result.farewell, result.stored_lag
    rate = counted.in_window / result.seconds
    run = f"{result.devices:,} machines, {result.seconds} s, {result.broker}"
    numbers = f"{counted.stored:,} rows, {counted.distinct:,} identities, {counted.gaps:,} numbers missing"
    door = f"at the door {counted.lag_p50_ms:.0f} / {counted.lag_p95_ms:.0f} ms"
    stored = f"stored {lag.p50_s * 1000:.0f} / {lag.p95_s * 1000:.0f} ms (interpolated in the Historian's histogram)"
    return [
        "",
        f"{run}: {result.due:,} readings due, {counted.in_window:,} stored, {rate:,.0f} readings/s",
        f"by SQL, start and end included: {numbers}",
        f"by the ledger: {_ledger_words(result.ledger)}",
        f"by the machines: {left.machines:,} left, {left.held:,} readings not yet confirmed, {left.dropped:,} dropped",
        f"lag from the measurement, p50 / p95: {door}, {stored}",
        f"the machine was busy {result.busy:.0%}, the emulator of all machines included",
        "",
        *table(result.used),
    ]
