"""The chain beside a bare subscriber: same client, payload, session and broker, interleaved in one run.

A reading is one device at one instant with eight values. The bare subscriber receives and acknowledges; the chain
decodes, validates, stores idempotently in PostgreSQL, judges, and frees the sender; its agents run each in a process
of its own, or with `--processes hub` all in one. The time ends when the last reading was received, or is counted in
SQL. CPU is that of all processes but the source's. Then, at half the rate that the chain carried, how much later a
reading arrives behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import psutil

from benchmarks.latency import bare_latency, chain_latency
from benchmarks.machine import described
from benchmarks.node_red import node_red
from benchmarks.places import POSTGRESQL, broker_alone, installation
from benchmarks.subjects import Bare, Chain, NodeRedFlow, Subject, agents_apart
from benchmarks.traffic import CLIENTS, Source, Traffic
from ronda.installation import AGENT_NAMES

# What a machine of any size must carry; the figures of the two kinds of message are told apart by readings a message.
_GOALS = """goals: chain ÷ bare ≥ 0.5 and ≥ 3,000 readings/s per core with one reading a message; with 50 in each
       ≥ 40,000 readings/s and agents + broker ≤ 8 µs a reading; p99 added ≤ 20 ms at half of the maximum"""
# Where the agents and the broker work: what is measured against the goal, PostgreSQL's own work is told beside it.
_OURS = frozenset({*AGENT_NAMES, "hub", "mosquitto", "embedded"})
_LOOK_S = 0.02


class Result(msgspec.Struct, frozen=True):
    """Readings per second and CPU µs per reading, by process; `busy`: the share of the whole machine, 0 to 1."""

    rate: float
    cpu_us: dict[str, float]
    busy: float

    @property
    def total_us(self) -> float:
        """Of all processes together."""
        return sum(self.cpu_us.values())

    @property
    def ours_us(self) -> float:
        """Of the agents and the broker."""
        return sum(us for name, us in self.cpu_us.items() if name in _OURS)


def main(arguments: Sequence[str]) -> None:
    """Measure on the brokers asked for, and print a table for each number of readings in a message."""
    options = _options(arguments)
    print(described())
    print(f"client {options.client}, agents {options.processes}, QoS 1, manual acknowledgement, persistent sessions,")
    print("ten devices of eight values without a model, Historian on; medians of interleaved rounds")
    print(_GOALS)
    for broker in options.brokers:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_measure_on(broker, Path(folder), options))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks chain", description=__doc__)
    parser.add_argument("--readings", type=int, default=30_000, help="per measurement, one in each message")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved measurements; medians are printed")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 50], help="readings per message")
    parser.add_argument("--brokers", nargs="+", choices=["mosquitto", "embedded"], default=["mosquitto", "embedded"])
    parser.add_argument("--client", choices=list(CLIENTS), default="own", help="of the agents and the subscriber")
    parser.add_argument("--processes", choices=["apart", "hub"], default="apart", help="of the agents")
    parser.add_argument("--latency-seconds", type=float, default=5.0, help="of sending at half the rate; 0: none")
    parser.add_argument("--node-red", type=Path, help="a folder in which `npm install node-red` was run")
    return parser.parse_args(arguments)


@contextlib.asynccontextmanager
async def _subjects(broker: str, folder: Path, options: argparse.Namespace) -> AsyncIterator[dict[str, Subject]]:
    """All that is measured on this kind of broker, each on its own, up and ready."""
    async with contextlib.AsyncExitStack() as stack:
        client, apart = options.client, options.processes == "apart"
        bare = await stack.enter_async_context(broker_alone(folder / "bare", broker))
        place = await stack.enter_async_context(installation(folder / "chain", broker, client, agents=not apart))
        agents = stack.enter_context(agents_apart(place.ronda, client)) if apart else {}
        await asyncio.to_thread(place.ronda.until_ready)
        subjects: dict[str, Subject] = {"bare": Bare(bare, client), "chain": Chain(place, agents)}
        if options.node_red:
            theirs = await stack.enter_async_context(broker_alone(folder / "third", broker))
            flow = stack.enter_context(node_red(options.node_red, folder / "flow", theirs.address("acquisition")))
            subjects[f"Node-RED {flow.version}"] = NodeRedFlow(theirs, flow)
        yield subjects


async def _measure_on(broker: str, folder: Path, options: argparse.Namespace) -> None:
    async with _subjects(broker, folder, options) as subjects:
        for batch in options.batches:
            # As many messages whatever is in them would take minutes to store.
            readings = options.readings * (4 if batch > 1 else 1) // (10 * batch) * 10 * batch
            found: dict[str, list[Result]] = {name: [] for name in subjects}
            for number in range(options.rounds):
                for name, subject in subjects.items():
                    result = await _measured(subject, Traffic(f"{batch}-{number}", readings, batch))
                    found[name].append(result)
                    print(
                        f"  {broker}, {batch} a message, round {number + 1}/{options.rounds}, {name}: "
                        f"{result.rate:,.0f} readings/s",
                        flush=True,
                    )
            _print(broker, batch, readings, found)
            if options.latency_seconds:
                rate = statistics.median(result.rate for result in found["chain"]) / 2
                await _print_latency(subjects, options, batch, rate)


async def _measured(subject: Subject, traffic: Traffic) -> Result:
    async with subject.measured(traffic) as (done, processes), Source(subject.place.address("web"), traffic) as source:
        before = {name: _cpu(name, process) for name, process in processes.items()}
        psutil.cpu_percent()
        began = time.perf_counter()
        source.go()
        # The store tells nobody outside the installation, so it is asked.
        while not await asyncio.to_thread(done):  # noqa: ASYNC110  # see above
            await asyncio.sleep(_LOOK_S)
        took, busy = time.perf_counter() - began, psutil.cpu_percent() / 100
        await source.sent()
        cpu = {
            name: (_cpu(name, process) - before[name]) / traffic.readings * 1e6 for name, process in processes.items()
        }
    return Result(traffic.readings / took, cpu, busy)


def _cpu(name: str, process: psutil.Process) -> float:
    """Seconds so far; PostgreSQL works in its children."""
    family = [process, *(process.children() if name == POSTGRESQL else ())]
    return sum(each.cpu_times().user + each.cpu_times().system for each in family)


def _print(broker: str, batch: int, readings: int, found: dict[str, list[Result]]) -> None:
    rounds = len(found["bare"])
    print(f"\n{broker}, QoS 1, {batch} a message, {readings:,} readings, median of {rounds}")
    columns = f"{'readings/s':>12}{'÷ bare':>8}{'per core':>10}{'CPU µs':>8}{'agents+broker':>15}{'busy':>6}"
    print(f"{'':<14}{columns}   of which")
    for name, results in found.items():
        middle = sorted(results, key=lambda result: result.rate)[rounds // 2]
        parts = ", ".join(f"{process} {us:.1f}" for process, us in middle.cpu_us.items() if us >= 0.05)
        rate = statistics.median(result.rate for result in results)
        ratio = statistics.median(each.rate / bare.rate for bare, each in zip(found["bare"], results, strict=True))
        total = statistics.median(result.total_us for result in results)
        ours = statistics.median(result.ours_us for result in results)
        busy = statistics.median(result.busy for result in results)
        print(
            f"{name:<14}{rate:>12,.0f}{ratio:>8.2f}{rate / (psutil.cpu_count() or 1):>10,.0f}{total:>8.1f}{ours:>15.1f}"
            f"{busy:>6.0%}   {parts}"
        )
    print(flush=True)


async def _print_latency(subjects: dict[str, Subject], options: argparse.Namespace, batch: int, rate: float) -> None:
    readings = int(rate * options.latency_seconds) // (10 * batch) * 10 * batch
    bare_traffic, chain_traffic = (
        Traffic(f"late-{name}-{batch}", readings, batch, rate / batch) for name in ("bare", "chain")
    )
    bare = await bare_latency(subjects["bare"].place, options.client, bare_traffic)
    chain = await chain_latency(subjects["chain"].place, options.client, chain_traffic)
    print(
        f"at {rate:,.0f} readings/s, {batch} a message, ms from the source, p50 / p99: bare subscriber "
        f"{bare.p50:.1f} / {bare.p99:.1f}, behind Acquisition and Validation {chain.p50:.1f} / {chain.p99:.1f}: "
        f"added {chain.p50 - bare.p50:.1f} / {chain.p99 - bare.p99:.1f}\n",
        flush=True,
    )
