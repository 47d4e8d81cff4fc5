"""Keeps the store in shape beside whoever fills it: adds readings up, and takes away what is older than it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from cloud.storage.database import Database
from cloud.storage.retention import Keep, Retention
from cloud.storage.rollups import RollUps
from contract.errors import TransientError
from ronda.parts import Surroundings, clock_ms
from ronda.settings import Settings

log = logging.getLogger("ronda.upkeep")

# A minute is added up once while it goes on and once when it is over; what is younger is drawn from its readings.
ADD_UP_EVERY_S = 60.0
# What goes is a month old at least, so a few hours do not matter. Soon after the start, for what was off overnight.
RETIRE_FIRST_S = 600.0
RETIRE_EVERY_S = 6 * 3600.0
# After a piece of work as long a pause, so that a backlog of years leaves half of a core to the others.
_SHARE = 1.0


def keep_of(settings: Settings) -> Keep:
    """For how long readings, minutes and hours are kept."""
    return Keep(settings.retention_raw_days, settings.retention_minute_days, settings.retention_hour_days)


async def keep_in_shape(around: Surroundings, database: Database) -> None:
    """For ever. Raises: RondaError when the database refuses us."""
    retire_at = time.monotonic() + RETIRE_FIRST_S
    while True:
        # The database is away: whoever fills it says so, and what is due waits there.
        with contextlib.suppress(TransientError):
            await add_up(database)
            if time.monotonic() >= retire_at:
                retire_at = time.monotonic() + RETIRE_EVERY_S
                await Retention(database).apply(keep_of(around.settings), int(clock_ms()))
        await asyncio.sleep(ADD_UP_EVERY_S)


async def add_up(database: Database) -> int:
    """All that is due, without being in anybody's way. Returns how many minutes that were."""
    roll_ups, total = RollUps(database), 0
    await roll_ups.hand_over()
    while True:
        began = time.monotonic()
        done = await roll_ups.work_off()
        if not done:
            break
        total += done
        await asyncio.sleep(_SHARE * (time.monotonic() - began))
    if total:
        log.debug("readings.added_up", extra={"minutes": total})
    return total
