"""Keeps the quarantine within its bounds: what is too much goes into archives, the oldest first."""

from __future__ import annotations

import asyncio
import logging

from cloud.storage.database import Database
from cloud.storage.quarantine import Quarantine
from ronda.parts import Surroundings, clock_ms

log = logging.getLogger("ronda.quarantine")

# Counting a full quarantine takes 0.1 s. What comes meanwhile is beyond the bound: as much as the door carries.
LOOK_EVERY_S = 30.0
_MEGABYTE = 1 << 20


async def keep_quarantine(around: Surroundings, database: Database) -> None:
    """Look every half a minute, for ever. Raises: RondaError when the database is away or the disk is full."""
    folder = around.installation.quarantine if around.installation else None
    settings, quarantine = around.settings, Quarantine(database, folder)
    size = settings.quarantine_max_mb * _MEGABYTE
    while True:
        moved = await quarantine.keep_within(settings.quarantine_max_entries, size, now_ms=int(clock_ms()))
        if moved:
            log.warning("quarantine.full", extra={"archived": moved, "most": settings.quarantine_max_entries})
        await asyncio.sleep(LOOK_EVERY_S)
