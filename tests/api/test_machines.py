"""What a machine does, and how far its inputs moved away from what its model learned."""

from __future__ import annotations

import httpx

from cloud.api.ports import Parts
from cloud.storage.database import Database
from cloud.storage.input_drifts import save_hours
from cloud.storage.machine_states import save_states
from contract.events import (
    ChannelDrift,
    InputDriftedEvent,
    MachineState,
    MachineStateEvent,
    Maturity,
    ModelRef,
    SensorState,
)
from tests.api.conftest import bearer

HOUR_MS = 3_600_000
MODEL = ModelRef(name="ronda.plant-1.pump-07", version="3", run_id="r", sha256="s")


def hour(number: int, *, drifted: bool = False) -> InputDriftedEvent:
    return InputDriftedEvent(
        site="plant-1",
        device="pump-07",
        channels=[
            ChannelDrift(name="flow_lpm", psi=0.9 if drifted else 0.01, ks=0.4, p_value=0.0001, drifted=drifted),
            ChannelDrift(name="current_a", psi=0.02, ks=0.01, p_value=0.9, drifted=False),
        ],
        from_ms=number * HOUR_MS,
        through_ms=(number + 1) * HOUR_MS - 1000,
        readings=3600,
        model=MODEL,
    )


async def kept(database: Database, *hours: InputDriftedEvent, state: MachineStateEvent | None = None) -> None:
    async with database.begin() as connection:
        await save_hours(connection, hours)
        await save_states(connection, [] if state is None else [state])


async def test_a_machine_says_what_it_does_and_which_sensors_cannot_be_believed(
    http: httpx.AsyncClient, parts: Parts, database: Database
) -> None:
    await parts.devices.ensure("plant-1", "pump-07", "provisioned", now_ms=0)
    await parts.devices.ensure("plant-1", "pump-08", "provisioned", now_ms=0)
    state = MachineStateEvent(
        site="plant-1",
        device="pump-07",
        state=MachineState.RUNNING,
        maturity=Maturity.YOUNG,
        regime=1,
        sensors={"flow_lpm": SensorState.STUCK},
        measured_at_ms=1000,
        at_ms=2000,
        model=MODEL,
    )
    await kept(database, hour(1), hour(2, drifted=True), state=state)
    items = (await http.get("/api/v1/devices", headers=bearer("data:read"))).json()["items"]
    told = {each["device"]: each for each in items}
    machine = told["pump-07"]["machine"]
    assert (machine["state"], machine["maturity"], machine["regime"]) == ("running", "young", 1)
    assert machine["sensors"] == {"flow_lpm": "stuck"}
    assert told["pump-07"]["drifting"] == ["flow_lpm"]
    assert (told["pump-08"]["machine"], told["pump-08"]["drifting"]) == (None, [])


async def test_the_hours_of_a_machine_are_told_newest_first(
    http: httpx.AsyncClient, parts: Parts, database: Database
) -> None:
    await parts.devices.ensure("plant-1", "pump-07", "provisioned", now_ms=0)
    await kept(database, hour(1), hour(2), hour(3, drifted=True))
    answer = await http.get("/api/v1/devices/plant-1/pump-07/drift?limit=2", headers=bearer("data:read"))
    items = answer.json()["items"]
    assert [item["from_ms"] for item in items] == [3 * HOUR_MS, 2 * HOUR_MS]
    assert items[0]["version"] == "3"
    assert [channel["name"] for channel in items[0]["channels"] if channel["drifted"]] == ["flow_lpm"]


async def test_a_machine_that_is_not_there_has_no_drift(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/devices/plant-1/nobody/drift", headers=bearer("data:read"))
    assert answer.status_code == 404


async def test_drift_is_told_to_those_who_may_read(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/devices/plant-1/pump-07/drift")).status_code == 401
    refused = await http.get("/api/v1/devices/plant-1/pump-07/drift", headers=bearer("ingest:write"))
    assert refused.status_code == 403
