"""The gateway between two Mosquittos, installed as `.[edge]` alone: memory, CPU, and how it empties an hour's outbox.

Fifty machines of eight values at 1 Hz for a minute. Then the cloud is away for an hour's readings, which come as fast
as they are kept; when it is back, live readings overtake them. Once at the shipped rate of back-fill, once at none. The
store at the far end keeps identities and says the watermark once a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import described
from benchmarks.resources import Look, Used, pss_mb
from benchmarks.site import GATEWAY, SITE, Cloud, Ear, Machines, p50_p95
from broker.wire import WireBus
from edge.gateway.mapping import Limits
from tests.support.brokers import mosquitto
from tests.support.installation import ROOT, clean_environment
from tests.support.ports import free_port

# So soon what waited is back-fill; five minutes as shipped would have to be waited for.
_LATE_S = 5
_MAPPING = """\
site = "{site}"
[limits]
late_s = {late_s}
backfill_per_s = {rate}
[[source]]
topic = "ronda/v1/{site}/+/telemetry"
format = "ronda"
"""
_NO_RATE = 1_000_000
_USER = f"gateway/{SITE}"
_MOST_MB = 80
_LOOK_S = 0.25
_WITHIN_S = 600.0
_END_WITHIN_S = 20.0


class Bench:
    """A gateway at work between two brokers, and everybody around it."""

    def __init__(self, folder: Path, process: psutil.Process, machines: Machines, ear: Ear, cloud_port: int) -> None:
        self._folder, self._process, self._cloud_port = folder, process, cloud_port
        self.machines, self.ear = machines, ear
        self.devices = machines.devices
        self.peak_mb = 0.0
        self._stored: dict[str, set[int]] = {}

    @contextlib.asynccontextmanager
    async def cloud(self) -> AsyncIterator[Cloud]:
        """The cloud is there; what it has stored it keeps."""
        async with (
            mosquitto(self._folder / "cloud", devices=[_USER], port=self._cloud_port) as broker,
            WireBus(broker.address(), "store") as bus,
        ):
            cloud = Cloud(bus, self._stored)
            async with _beside(cloud.run()):
                yield cloud

    async def until(self, reached: Callable[[], bool], what: str) -> float:
        """Wait, looking at the gateway's memory; returns how long it took."""
        began = time.monotonic()
        while not reached():
            if time.monotonic() - began > _WITHIN_S:
                raise SystemExit(f"not within {_WITHIN_S:.0f} s: {what}; the gateway said {self.ear.last}")
            self.peak_mb = max(self.peak_mb, pss_mb(GATEWAY, self._process))
            await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began

    def look(self) -> Look:
        """From here on."""
        return Look({GATEWAY: self._process})


def main(arguments: Sequence[str]) -> None:
    """Measure and print; ends with 1 when a reading is missing or the gateway grew beyond what it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway", description=__doc__)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60, help="of live readings")
    parser.add_argument("--outage", type=int, default=3600, help="seconds of readings in the outbox")
    parser.add_argument("--evidence", type=Path, help="the folder to write gateway.txt into")
    options = parser.parse_args(arguments)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    tell(described())
    tell(f"{options.devices} machines of eight values at 1 Hz, QoS 1, two Mosquittos, the gateway from .[edge] alone")
    with tempfile.TemporaryDirectory(prefix="ronda-gateway-") as folder:
        python = _installed(Path(folder) / "venv")
        peaks = []
        for rate in (int(Limits().backfill_per_s), _NO_RATE):
            place = Path(folder) / str(rate)
            place.mkdir()
            peaks.append(asyncio.run(_measured(place, python, rate, options, tell)))
    good = max(peaks) < _MOST_MB
    tell(f"memory at most {max(peaks):.0f} MB PSS, goal below {_MOST_MB}: {'kept' if good else 'MISSED'}")
    if options.evidence:
        options.evidence.mkdir(parents=True, exist_ok=True)
        (options.evidence / "gateway.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    sys.exit(0 if good else 1)


def _installed(folder: Path) -> Path:
    """A Python with what a gateway needs, and nothing else."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{ROOT}[edge]"], check=True)
    return python


async def _measured(
    folder: Path, python: Path, rate: int, options: argparse.Namespace, tell: Callable[[str], None]
) -> float:
    """Returns the most memory that the gateway took, MB."""
    async with _bench(folder, python, rate, options.devices) as bench:
        async with bench.cloud() as cloud:
            await bench.until(lambda: bench.ear.last is not None and bench.ear.last.cloud, "the gateway at the cloud")
            if rate != _NO_RATE:
                await _live(bench, cloud, options.seconds, tell)
        await _outage(bench, options.outage, tell)
        await asyncio.sleep(_LATE_S)
        async with bench.cloud() as cloud:
            await _drained(bench, cloud, rate, tell)
        return bench.peak_mb


async def _live(bench: Bench, cloud: Cloud, seconds: int, tell: Callable[[str], None]) -> None:
    look = bench.look()
    async with _beside(bench.machines.live(seconds)):
        end = time.monotonic() + seconds
        await bench.until(lambda: time.monotonic() >= end, "the time")
        used = look.since(seconds)[GATEWAY]
        await bench.until(lambda: cloud.distinct == bench.devices * seconds, "every live reading at the store")
    tell(
        f"live for {seconds} s: {cloud.distinct:,} readings said and stored, {cloud.repeats:,} repeats; {_words(used)}"
    )
    tell(f"  from the machine to the store {_lag(cloud)}")


async def _outage(bench: Bench, seconds: int, tell: Callable[[str], None]) -> None:
    look, began = bench.look(), time.monotonic()
    await bench.machines.at_once(seconds)
    said, waiting = bench.machines.said, bench.devices * seconds
    await bench.until(lambda: bench.ear.last is not None and bench.ear.last.kept == said, "everything in the outbox")
    took = time.monotonic() - began
    used = look.since(took)[GATEWAY]
    tell(
        f"the cloud away: {waiting:,} readings on disk in {took:.0f} s, {waiting / took:,.0f} a second; {_words(used)}"
    )


async def _drained(bench: Bench, cloud: Cloud, rate: int, tell: Callable[[str], None]) -> None:
    until, look = bench.machines.seq, bench.look()
    waiting = until * bench.devices - cloud.distinct
    async with _beside(bench.machines.live()):
        took = await bench.until(lambda: cloud.has_all_below(until, bench.devices), "the outbox empty")
        used = look.since(took)[GATEWAY]
    limit = "without a limit" if rate == _NO_RATE else f"at {rate:,} a second as shipped"
    told = f"{waiting:,} readings in {took:.0f} s, {waiting / took:,.0f} a second, {cloud.repeats:,} repeats"
    tell(f"the cloud back, back-fill {limit}: {told}; {_words(used)}")
    tell(f"  live readings meanwhile, from the machine to the store {_lag(cloud)}")


def _words(used: Used) -> str:
    return f"{used.pss_mb:.0f} MB PSS, {used.cores:.0%} of a core"


def _lag(cloud: Cloud) -> str:
    p50, p95 = p50_p95(cloud.live_lags_ms)
    return f"{p50:.0f} / {p95:.0f} ms (p50 / p95)"


@contextlib.asynccontextmanager
async def _bench(folder: Path, python: Path, rate: int, devices: int) -> AsyncIterator[Bench]:
    """The site's broker, its machines, and the gateway, whose cloud is not there yet."""
    cloud_port = free_port()
    # The users' passwords are the same at each start of this folder.
    async with mosquitto(folder / "cloud", devices=[_USER], port=cloud_port) as cloud:
        there = cloud.address(_USER).url()
    mapping = folder / "site.toml"
    mapping.write_text(_MAPPING.format(site=SITE, late_s=_LATE_S, rate=rate), encoding="utf-8")
    async with contextlib.AsyncExitStack() as stack:
        site = await stack.enter_async_context(mosquitto(folder / "site"))
        buses = [await stack.enter_async_context(WireBus(site.address(), name)) for name in ("machines", "ear")]
        ear = Ear(buses[1])
        await stack.enter_async_context(_beside(ear.run()))
        command: list[str | Path] = [python, "-m", "ronda", "gateway", mapping, "--data", folder / "data"]
        environment = clean_environment() | {"GATEWAY_LOCAL_URL": site.address().url(), "MQTT_URL": there}
        process = stack.enter_context(_process(command, environment, folder))
        bench = Bench(folder, psutil.Process(process.pid), Machines(buses[0], devices), ear, cloud_port)
        await bench.until(lambda: ear.last is not None, "the gateway at the site's broker")
        yield bench


@contextlib.contextmanager
def _process(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Running in its folder, where nothing of ours is found but what is installed; ended by SIGTERM."""
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_END_WITHIN_S)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on for as long as the block; what it stumbles over is raised."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
