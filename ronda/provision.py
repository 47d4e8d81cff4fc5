"""Registers the emulated machines with their sensors, so that units and limits are known before the first reading."""

from __future__ import annotations

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from edge.metrics import METRICS
from ronda.fleet import read_fleet
from ronda.installation import Installation
from ronda.parts import clock_ms

_ORIGIN = {"pump": "emulator", "demo": "demo"}


async def register_machines(installation: Installation, database: Database) -> None:
    """Every machine of the fleet file; those that are registered stay as they are."""
    devices = DeviceStore(database)
    for machine in read_fleet(installation):
        await devices.ensure(
            machine.site, machine.device, _ORIGIN[machine.role], now_ms=int(clock_ms()), metrics=METRICS
        )
