"""The chain beside a bare subscriber: same client, payload, session and broker, interleaved in one run.

A reading is one device at one instant with eight values. The bare subscriber receives and acknowledges; the chain
decodes, validates, stores idempotently in PostgreSQL, judges, and frees the sender. The time ends when the last
reading was received, or is counted in SQL. CPU is that of all processes but the source's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil

from benchmarks.machine import described
from benchmarks.traffic import Counter, Source, bare_subscriber
from tests.support.installation import Ronda

AGENTS = ("acquisition", "validation", "anomaly-detection", "notification", "historian")
SUBJECTS = ("bare", "chain")
POSTGRESQL = "postgresql"


class Result(msgspec.Struct, frozen=True):
    """Readings per second and CPU µs per reading, by process."""

    rate: float
    cpu_us: dict[str, float]

    @property
    def total_us(self) -> float:
        """Of all processes together."""
        return sum(self.cpu_us.values())


def main(arguments: Sequence[str]) -> None:
    """Measure on Mosquitto and on the embedded broker, and print a table each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chain", description=__doc__)
    parser.add_argument("--readings", type=int, default=10_000, help="per measurement")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved measurements; the median is printed")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 50], help="readings per message")
    options = parser.parse_args(arguments)
    print(described())
    for broker in ("mosquitto", "embedded"):
        with tempfile.TemporaryDirectory() as folder:
            _measure_on(broker, Path(folder), options.readings, options.rounds, options.batches)


def _measure_on(broker: str, folder: Path, readings: int, rounds: int, batches: Sequence[int]) -> None:
    without = [option for name in AGENTS for option in ("--without", name)]
    common = ("--devices", "0", "--broker", broker)
    subjects = {"bare": Ronda(folder / "bare", *common, *without), "chain": Ronda(folder / "chain", *common)}
    try:
        for ronda in subjects.values():
            ronda.start()
        # Without agents nothing is stored, so nothing learned, so never ready.
        subjects["bare"].until_up()
        subjects["chain"].until_ready()
        for batch in batches:
            found: dict[str, list[Result]] = {name: [] for name in SUBJECTS}
            for number in range(rounds):
                for name, measure in (("bare", _bare), ("chain", _chain)):
                    result = asyncio.run(measure(subjects[name], readings, batch, f"{batch}-{number}"))
                    found[name].append(result)
                    print(f"  {broker}, {batch} a message, round {number + 1}/{rounds}, {name}: {result.rate:,.0f}/s")
            _print(broker, batch, readings, found)
    finally:
        for ronda in subjects.values():
            ronda.stop()


async def _bare(ronda: Ronda, readings: int, batch: int, label: str) -> Result:
    source = Source(ronda, label, readings, batch)
    async with bare_subscriber(ronda, f"bench-{label}") as (received, pid):
        processes = {"subscriber": psutil.Process(pid), **_processes(ronda)}
        return await _timed(processes, readings, source, lambda: received() >= source.messages)


async def _chain(ronda: Ronda, readings: int, batch: int, label: str) -> Result:
    source = Source(ronda, label, readings, batch)
    counter = await asyncio.to_thread(Counter, ronda, label)
    result = await _timed(_processes(ronda), readings, source, lambda: counter.so_far() >= readings)
    stored = await asyncio.to_thread(counter.in_the_end)
    if stored != readings:
        raise SystemExit(f"{readings} readings were sent and {stored} are stored")
    return result


async def _timed(
    processes: dict[str, psutil.Process], readings: int, source: Source, done: Callable[[], bool]
) -> Result:
    before = {name: _cpu(name, process) for name, process in processes.items()}
    began = time.perf_counter()
    sending = asyncio.create_task(asyncio.to_thread(source.send))
    # The store tells nobody outside the installation, so it is asked.
    while not await asyncio.to_thread(done):  # noqa: ASYNC110  # see above
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    await sending
    cpu = {name: (_cpu(name, process) - before[name]) / readings * 1e6 for name, process in processes.items()}
    return Result(readings / took, cpu)


def _processes(ronda: Ronda) -> dict[str, psutil.Process]:
    """Those that work for a reading; `hub` is the agents, and the broker where it is embedded."""
    found = {"hub": ronda.part("hub"), "web": ronda.part("api")}
    family = ronda.family()
    for process in family:
        # A trainer that comes and goes is no part of it.
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == "mosquitto":
                found["mosquitto"] = process
            if process.name().startswith("postgres") and process.parent() == family[0]:
                found[POSTGRESQL] = process
    return found


def _cpu(name: str, process: psutil.Process) -> float:
    """Seconds so far; PostgreSQL works in its children."""
    family = [process, *(process.children() if name == POSTGRESQL else ())]
    return sum(each.cpu_times().user + each.cpu_times().system for each in family)


def _print(broker: str, batch: int, readings: int, found: dict[str, list[Result]]) -> None:
    rounds = len(found["bare"])
    print(f"\n{broker}, QoS 1, {batch} a message, {readings:,} readings, median of {rounds}")
    print(f"{'':<8}{'readings/s':>12}{'CPU µs/reading':>16}   of which")
    for name, results in found.items():
        middle = sorted(results, key=lambda result: result.rate)[rounds // 2]
        parts = ", ".join(f"{process} {us:.0f}" for process, us in middle.cpu_us.items())
        rate = statistics.median(result.rate for result in results)
        print(f"{name:<8}{rate:>12,.0f}{statistics.median(r.total_us for r in results):>16,.0f}   {parts}")
    ratio = statistics.median(c.rate / b.rate for b, c in zip(found["bare"], found["chain"], strict=True))
    print(f"chain ÷ bare, median of the rounds: {ratio:.2f}\n", flush=True)
