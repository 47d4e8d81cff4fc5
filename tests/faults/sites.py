"""A gateway and its site that die, together or one of them, with readings in the outbox and on the machines' broker."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.faults.disk import filled
from tests.faults.fault import Fault, Hit
from tests.faults.plant import Plant
from tests.faults.site import GATEWAY, OUTBOX, SITE_BROKER

_FROZEN_S = (0.5, 2.5)
# What was deleted before makes room in its file for some seconds.
_FULL_WITHIN_S = 60.0


async def kill_site_broker(plant: Plant) -> Hit:
    """Kill -9 of the machines' broker."""
    broker = plant.others[SITE_BROKER]
    hit = Hit(plant.in_flight(SITE_BROKER), f"pid {broker.pid}")
    broker.kill()
    return hit


async def freeze_site_broker(plant: Plant) -> Hit:
    """The machines' broker stands still."""
    broker = plant.others[SITE_BROKER]
    hit = Hit(plant.in_flight(SITE_BROKER), f"pid {broker.pid}")
    broker.signal(signal.SIGSTOP)
    await asyncio.sleep(plant.rng.uniform(*_FROZEN_S))
    broker.signal(signal.SIGCONT)
    return hit


async def kill_site(plant: Plant) -> Hit:
    """The power of the site goes: gateway and broker at once."""
    gateway, broker = plant.processes[GATEWAY], plant.others[SITE_BROKER]
    hit = Hit(plant.in_flight(SITE_BROKER), f"pids {gateway.pid} and {broker.pid}")
    gateway.kill()
    broker.kill()
    return hit


async def fill_outbox(plant: Plant) -> Hit:
    """The cloud is away until not one byte more fits on the gateway's disk, and that is full when it is back."""
    in_flight, began = plant.in_flight(GATEWAY), time.monotonic()
    with filled(plant.folder / OUTBOX) as megabytes:
        plant.bus[GATEWAY].refuse()
        try:
            async with asyncio.timeout(_FULL_WITHIN_S):
                await plant.site.gateway_says('"trouble":"')
        except TimeoutError:
            raise AssertionError("the gateway did not run out of room") from None
        finally:
            plant.bus[GATEWAY].heal()
        await asyncio.sleep(plant.rng.uniform(*_FROZEN_S))
    return Hit(in_flight, f"{megabytes} MB filled, room for {time.monotonic() - began:.0f} s of readings")


SITES = (
    Fault("site's broker killed", kill_site_broker),
    Fault("site's broker frozen", freeze_site_broker),
    Fault("gateway and its site's broker killed at once", kill_site),
    Fault("gateway's disk full", fill_outbox, needs="disk"),
)
