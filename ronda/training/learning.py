"""Sees that machines have run long enough, and has a short-lived process fit their models."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

from cloud.models.training import due_again
from cloud.storage.database import Database
from cloud.storage.promotions import PromotionStore
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import VerdictStore
from detection.model import FORMAT
from ronda.parts import Surroundings
from ronda.processes import followers_environment

log = logging.getLogger("ronda.learning")

# A new machine waits half an hour for enough readings; two seconds more are not felt.
LOOK_S = 2.0
# Whether a machine has twice as much to learn from, or runs as it never did, is a question of half an hour and more.
LOOK_AGAIN_S = 60.0
# How late a champion that was moved in MLflow's own page is noticed.
RECONCILE_S = 600.0
# What failed is tried again after this: its cause is seldom gone within seconds.
AFTER_FAILURE_S = 300.0
# MLflow, or the store of its artifacts, is restarted within a minute.
AWAY_S = 20.0


class Due:
    """Which machines wait for the trainer, and whether the registry waits to hear of a promotion."""

    def __init__(self, database: Database, learn_rows: int) -> None:
        self._readings = ReadingStore(database)
        self._verdicts = VerdictStore(database)
        self._promotions = PromotionStore(database)
        self._learn_rows = learn_rows
        self._looked_s = -LOOK_AGAIN_S
        self._again: list[str] = []

    async def now(self, now_s: float) -> list[str]:
        """Their names, the same as long as the same wait."""
        first = await self._readings.devices_ready_to_learn(self._learn_rows)
        if now_s - self._looked_s >= LOOK_AGAIN_S:
            self._looked_s, self._again = now_s, await self._learn_again()
        unheard = [f"{each.site}/{each.device} v{each.version}" for each in await self._promotions.unmirrored()]
        return [*(f"{each.site}/{each.device}" for each in first), *self._again, *unheard]

    async def _learn_again(self) -> list[str]:
        outdated = await self._readings.devices_to_learn_anew(FORMAT)
        grown = await due_again(self._readings, self._verdicts)
        lost = await self._readings.devices_at_a_loss(self._learn_rows)
        return [*(f"{each.site}/{each.device}" for each in (*outdated, *grown)), *map("/".join, lost)]


async def keep_learning(around: Surroundings, database: Database) -> None:
    """Start the trainer whenever a machine is due, and now and then to see what the registry says."""
    waiting = Due(database, around.settings.learn_rows)
    reconcile_at, again_at = time.monotonic() + RECONCILE_S, 0.0
    tried: list[str] = []
    while True:
        await asyncio.sleep(LOOK_S)
        now = time.monotonic()
        due = await waiting.now(now)
        # The same again: nothing could be learned from them, such as from a machine that stood still.
        is_time = bool(due) and (due != tried or now >= again_at)
        if not is_time and now < reconcile_at:
            continue
        reconcile_at, again_at, tried = now + RECONCILE_S, now + AFTER_FAILURE_S, due
        log.info("training.started", extra={"assets": due[:10]})
        code = await _train(around)
        if code == os.EX_TEMPFAIL:
            again_at = time.monotonic() + AWAY_S
            log.warning("registry.away", extra={"again_in_s": AWAY_S})
        elif code:
            log.error("training.failed", extra={"code": code})


async def _train(around: Surroundings) -> int:
    """MLflow and scikit-learn stay out of this process: they would hold 300 MB for a fit of a millisecond."""
    where = ["--data", str(around.installation.root)] if around.installation else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ronda", "train", *where,
        stdin=asyncio.subprocess.DEVNULL, env=followers_environment(),
    )  # fmt: skip
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
