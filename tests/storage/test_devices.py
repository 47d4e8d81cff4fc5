from __future__ import annotations

import asyncio

from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from contract.plausibility import Metric

NOW_MS = 1_763_800_000_000
FLOW = Metric(name="flow_lpm", unit="L/min", low=0, high=3000)
CURRENT = Metric(name="current_a", unit="A")


async def test_what_is_registered_stays_as_it_is(database: Database) -> None:
    devices = DeviceStore(database)
    first = await devices.ensure("plant-1", "pump-07", "emulator", now_ms=NOW_MS, metrics=[FLOW], learn_rows=400)
    again = await devices.ensure("plant-1", "pump-07", "http", now_ms=NOW_MS + 1, metrics=[CURRENT])
    assert again == first == await devices.get("plant-1", "pump-07")
    assert (first.origin, first.metrics, first.learn_rows, first.created_at_ms) == ("emulator", [FLOW], 400, NOW_MS)


async def test_a_device_added_without_metrics_gets_those_of_its_first_reading(database: Database) -> None:
    devices = DeviceStore(database)
    await devices.ensure("plant-1", "pump-07", "provisioned", now_ms=NOW_MS)
    assert await devices.metrics("plant-1", "pump-07") is None
    assert await devices.register_metrics("plant-1", "pump-07", [CURRENT, FLOW], now_ms=NOW_MS) == [CURRENT, FLOW]
    assert await devices.metrics("plant-1", "pump-07") == [CURRENT, FLOW]


async def test_of_two_first_readings_at_once_one_registers_its_metrics_for_both(database: Database) -> None:
    devices = DeviceStore(database)
    offers = [[Metric(name=f"m{number}")] for number in range(5)]
    in_force = await asyncio.gather(
        *(devices.register_metrics("plant-1", "pump-07", offer, now_ms=NOW_MS) for offer in offers)
    )
    assert all(metrics == in_force[0] for metrics in in_force)
    assert in_force[0] == await devices.metrics("plant-1", "pump-07")


async def test_a_revoked_device_stays_listed_and_may_be_reinstated(database: Database) -> None:
    devices = DeviceStore(database)
    await devices.ensure("plant-1", "pump-08", "demo", now_ms=NOW_MS)
    await devices.ensure("plant-1", "pump-07", "demo", now_ms=NOW_MS)
    assert await devices.revoke("plant-1", "pump-08", now_ms=NOW_MS + 5)
    assert not await devices.revoke("plant-1", "pump-08", now_ms=NOW_MS + 9)
    assert [(each.device, each.revoked_at_ms) for each in await devices.all()] == [
        ("pump-07", None),
        ("pump-08", NOW_MS + 5),
    ]
    assert await devices.reinstate("plant-1", "pump-08")
    assert not await devices.reinstate("plant-1", "pump-08")


async def test_a_device_may_learn_from_a_number_of_rows_of_its_own(database: Database) -> None:
    devices = DeviceStore(database)
    await devices.ensure("plant-1", "pump-07", "replay", now_ms=NOW_MS, learn_rows=400)
    record = await devices.get("plant-1", "pump-07")
    assert record is not None
    assert record.learn_rows == 400


async def test_an_unknown_device_is_none(database: Database) -> None:
    devices = DeviceStore(database)
    assert await devices.get("plant-1", "nobody") is None
    assert await devices.metrics("plant-1", "nobody") is None
    assert not await devices.revoke("plant-1", "nobody", now_ms=NOW_MS)
