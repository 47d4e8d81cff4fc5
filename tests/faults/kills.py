"""Processes that die: from outside at any moment, or by their own hand at a named step of their protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from functools import partial

from ronda.installation import AGENT_NAMES
from tests.faults.account import in_transactions
from tests.faults.fault import Fault, Hit
from tests.faults.plant import Plant
from tests.faults.seams import SEAMS, Seam

_PARTS = (*AGENT_NAMES, "api", "gateway")
_ALARM_PATH = frozenset({"anomaly-detection", "notification"})
# An alarm is raised and cleared every few seconds; what is armed has been passed by then.
_REACHED_WITHIN_S = 15.0
_MOST_PASSES = 4
_FROZEN_S = (0.5, 2.5)


async def kill_part(plant: Plant, part: str) -> Hit:
    """Kill -9 of one process."""
    hit = Hit(plant.in_flight(part), f"pid {plant.processes[part].pid}")
    plant.processes[part].kill()
    return hit


async def kill_at(plant: Plant, seam: Seam) -> Hit:
    """The process ends itself with kill -9 at a step."""
    process = plant.processes[seam.part]
    process.control.deaths.unlink(missing_ok=True)
    nth = 1 if seam.part in _ALARM_PATH else plant.rng.randint(1, _MOST_PASSES)
    died = asyncio.create_task(process.death())
    await asyncio.sleep(0)
    process.control.arm(seam, nth)
    try:
        await asyncio.wait_for(died, _REACHED_WITHIN_S)
    except TimeoutError:
        process.control.disarm()
        raise AssertionError(f"{seam.part}: {seam.name} was not reached in {_REACHED_WITHIN_S:.0f} s") from None
    told = json.loads(process.control.deaths.read_text().splitlines()[-1])
    return Hit(plant.in_flight(seam.part), f"pid {told['pid']}, pass {nth}, with {told['work']}", in_hand=True)


async def kill_broker(plant: Plant) -> Hit:
    """Kill -9 of the broker."""
    hit = Hit(plant.under_way, f"pid {plant.broker_pid}")
    os.kill(plant.broker_pid, signal.SIGKILL)
    return hit


async def kill_postgres(plant: Plant) -> Hit:
    """Kill -9 of PostgreSQL's first process, with everybody's transactions."""
    connection = await plant.sql()
    busy = await in_transactions(connection)
    plant.postgres.runs.clear()
    hit = Hit(plant.under_way, f"{busy} open transactions")
    os.kill(plant.postgres.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        connection.terminate()
    return hit


async def kill_backend(plant: Plant) -> Hit:
    """Kill -9 of the process that serves one connection: PostgreSQL then starts anew with all of them."""
    connection = await plant.sql()
    query = """
        SELECT pid, state, left(query, 40) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
        ORDER BY xact_start NULLS LAST, state_change DESC LIMIT 1
    """
    row = await connection.fetchrow(query)
    assert row is not None
    hit = Hit(plant.under_way, f"{row[1]}: {row[2]!r}")
    os.kill(row[0], signal.SIGKILL)
    connection.terminate()
    return hit


async def kill_everything(plant: Plant) -> Hit:
    """All at once, as when the power goes; what the disk was told stays."""
    everybody = [*plant.processes.values(), *plant.others.values()]
    hit = Hit(plant.under_way, f"{len(everybody)} processes, broker and PostgreSQL")
    plant.postgres.runs.clear()
    for process in everybody:
        process.kill()
    if "broker" not in plant.processes:
        os.kill(plant.broker_pid, signal.SIGKILL)
    os.kill(plant.postgres.pid, signal.SIGKILL)
    return hit


async def freeze_part(plant: Plant, part: str) -> Hit:
    """It stands still for a while, as on a machine that is moved or out of memory."""
    hit = Hit(plant.in_flight(part), f"pid {plant.processes[part].pid}")
    plant.processes[part].signal(signal.SIGSTOP)
    await asyncio.sleep(plant.rng.uniform(*_FROZEN_S))
    plant.processes[part].signal(signal.SIGCONT)
    return hit


async def freeze_broker(plant: Plant) -> Hit:
    """The broker stands still."""
    pid = plant.broker_pid
    hit = Hit(plant.under_way, f"pid {pid}")
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(plant.rng.uniform(*_FROZEN_S))
    os.kill(pid, signal.SIGCONT)
    return hit


def _at_seam(seam: Seam) -> Fault:
    return Fault(
        f"{seam.part} dies {seam.name}",
        partial(kill_at, seam=seam),
        alarms=seam.part in _ALARM_PATH,
        brokers=("embedded",) if seam.part == "broker" else ("embedded", "mosquitto"),
    )


KILLS = (
    *(Fault(f"{part} killed", partial(kill_part, part=part), alarms=part in _ALARM_PATH) for part in _PARTS),
    *map(_at_seam, SEAMS),
    *(Fault(f"{part} frozen", partial(freeze_part, part=part), alarms=part in _ALARM_PATH) for part in _PARTS),
    Fault("broker killed", kill_broker, alarms=True),
    Fault("broker frozen", freeze_broker),
    Fault("PostgreSQL killed", kill_postgres, alarms=True),
    Fault("a PostgreSQL backend killed", kill_backend),
    Fault("everything killed at once", kill_everything, alarms=True),
)
