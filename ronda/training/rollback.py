"""`ronda model rollback`: back to the model before within seconds, whether or not the registry is there."""

from __future__ import annotations

import time
from pathlib import Path

from cloud.storage.promotions import Promotion
from contract.names import split_address
from ronda.training.force import Announcer, championship, opened


async def run_rollback(data: Path | None, address: str, to: str | None) -> None:
    """Go back to the model before, at once."""
    site, device = split_address(address)
    began = time.monotonic()
    async with opened(data) as (around, database):
        promotion = await championship(around, database, Announcer(around)).rollback(site, device, to)
    say_in_force(promotion, began)


def say_in_force(promotion: Promotion, began: float) -> None:
    """Who judges from now on, and how long that took. `began`: `time.monotonic()` then."""
    print(
        f"{promotion.site}/{promotion.device}: version {promotion.version} of {promotion.name} is in force, "
        f"{time.monotonic() - began:.2f} s; the registry's alias follows"
    )
