"""SKAB through the product: each recording is played as a machine over MQTT, and judged by the agent.

The agent has the model and the settings that `benchmarks.skab` has; what it flags is read from the alarms that it
raised and cleared. Row by row that must be what the benchmark's own `fit` and `score` flag.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import skab
from benchmarks.skab_protocol import Flags, Recording
from broker.address import MqttAddress
from broker.mqtt import MqttBus
from cloud.models.registry import Provenance, Registry
from cloud.storage.database import Database
from cloud.storage.model_versions import ModelVersionStore
from cloud.storage.promotions import PromotionStore
from contract.codec import encode_events
from contract.events import AlarmKind
from detection.fit import fit
from edge.clock import SystemClock
from edge.device import last_will
from edge.fleet import mqtt_bus, new_boot
from edge.recording import parse_recording
from edge.replay import replay
from tests.support.installation import Ronda, until

SITE = "skab"
# Faster than the recording: its twenty minutes in some seconds.
SPEED = 240.0
# More readings than any recording has: nothing is learned but what is registered here.
NEVER = 1_000_000
JUDGED_WITHIN_S = 90.0


def compare(recordings: Sequence[Recording]) -> None:
    """Play them on an installation of their own and print how many rows are flagged the same."""
    with tempfile.TemporaryDirectory() as folder:
        ronda = Ronda(Path(folder) / "skab", "--devices", "0").start()
        try:
            ronda.until_up()
            found = played(ronda, recordings)
        finally:
            ronda.stop()
    for each in found:
        counts = f"{len(each.by_agent):>6} rows, {each.by_agent.sum():>4} flagged, {len(each.different)} differ"
        print(f"  {each.recording.name:<14}{counts} {each.different[:5] or ''}")
    if any(each.different for each in found):
        raise SystemExit("the agent and the benchmark do not flag the same rows")


class Flagged(NamedTuple):
    """A recording's judged rows (n): flagged by the agent, and by the benchmark."""

    recording: Recording
    by_agent: Flags
    by_benchmark: Flags

    @property
    def different(self) -> list[int]:
        """The rows on which they do not agree."""
        return np.flatnonzero(self.by_agent != self.by_benchmark).tolist()


def played(ronda: Ronda, recordings: Sequence[Recording]) -> list[Flagged]:
    """Play them all at once on a running installation. Fails when the agent has not judged a last row in time."""
    devices = [recording.name.replace("/", "-") for recording in recordings]
    passwords = [_added(ronda, device) for device in devices]
    asyncio.run(_learned(ronda, devices, recordings))
    asyncio.run(_sent(ronda, list(zip(devices, passwords, recordings, strict=True))))
    return [_flagged(ronda, device, recording) for device, recording in zip(devices, recordings, strict=True)]


def _added(ronda: Ronda, device: str) -> str:
    """Its password on the broker."""
    new = {"site": SITE, "device": device, "origin": "replay", "learn_rows": NEVER}
    with ronda.http() as client:
        return str(client.post("/api/v1/devices", json=new).raise_for_status().json()["password"])


async def _learned(ronda: Ronda, devices: Sequence[str], recordings: Sequence[Recording]) -> None:
    """Register the benchmark's models and bring them into force, as the trainer does."""
    runtime = ronda.runtime()
    registry = Registry(runtime["tracking_uri"], runtime["artifact_root"])
    trainer = MqttAddress(host="127.0.0.1", port=ronda.mqtt_port).with_user(
        "trainer", ronda.secrets()["services"]["trainer"]
    )
    database, now_ms = Database(runtime["database_url"]), int(time.time() * 1000)
    await database.open()
    try:
        async with MqttBus(trainer, "skab-trainer", persistent=False) as bus:
            for device, recording in zip(devices, recordings, strict=True):
                table = recording.train
                times = table.index.to_numpy().astype("datetime64[ms]").astype(np.int64)
                fitted = fit(table.to_numpy(dtype=float), times, list(table.columns), skab.SETTINGS)
                made = Provenance(code_version="benchmark", made_at_ms=now_ms)
                version = await asyncio.to_thread(registry.register, SITE, device, fitted, made)
                await ModelVersionStore(database).add(version)
                promotion = await PromotionStore(database).promote(version.promotion(now_ms))
                await bus.publish(encode_events([promotion.event]), retain=True)
    finally:
        await database.close()


async def _sent(ronda: Ronda, machines: Sequence[tuple[str, str, Recording]]) -> None:
    address = MqttAddress(host="127.0.0.1", port=ronda.mqtt_port)
    await asyncio.gather(*(_send(address, *machine) for machine in machines))


async def _send(address: MqttAddress, device: str, password: str, recording: Recording) -> None:
    outcome = await replay(
        mqtt_bus(address, f"{SITE}/{device}", password, last_will(SITE, device)),
        SITE,
        device,
        parse_recording(recording.test.to_csv(sep=";")),
        speed=SPEED,
        boot=new_boot(),
        clock=SystemClock(),
        progress=lambda _: None,
        stop=asyncio.Event(),
    )
    if (outcome.accounted, outcome.skipped) != (len(recording.test), {}):
        raise SystemExit(f"{recording.name}: {len(recording.test)} rows, and the store has {outcome}")


def _flagged(ronda: Ronda, device: str, recording: Recording) -> Flagged:
    where = f"site = '{SITE}' AND device = '{device}'"
    query = f"SELECT measured_at_ms FROM readings WHERE {where} ORDER BY seq"
    times = [row[0] for row in ronda.sql(query)]
    judged = f"SELECT 1 FROM detector_states WHERE {where} AND measured_at_ms >= {times[-1]}"
    until(lambda: ronda.sql(judged) or None, f"{device}: the last row to be judged", JUDGED_WITHIN_S)
    flags = np.zeros(len(times), dtype=bool)
    said = f"SELECT raised_at_ms, cleared_at_ms, event->>'kind' FROM anomalies WHERE {where}"
    for raised_ms, cleared_ms, kind in ronda.sql(said):
        if kind not in {None, AlarmKind.ANOMALY}:
            continue
        end = len(times) if cleared_ms is None else times.index(cleared_ms)
        flags[times.index(raised_ms) : end] = True
    _, expected, _ = skab.fit(recording.train).score(recording.test)
    return Flagged(recording, flags, np.asarray(expected) == 1)
