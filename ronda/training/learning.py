"""Sees that machines have run long enough, and has a short-lived process fit their models."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from ronda.parts import Surroundings
from ronda.processes import followers_environment

log = logging.getLogger("ronda.learning")

# A new machine waits half an hour for enough readings; two seconds more are not felt.
LOOK_S = 2.0
# How late a champion that was moved in MLflow's own page is noticed.
RECONCILE_S = 600.0
# What failed is tried again after this: its cause is seldom gone within seconds.
AFTER_FAILURE_S = 300.0
# MLflow, or the store of its artifacts, is restarted within a minute.
AWAY_S = 20.0


async def keep_learning(around: Surroundings, database: Database) -> None:
    """Start the trainer whenever a machine is due, and now and then to see what the registry says."""
    store = ReadingStore(database)
    reconcile_at, again_at = time.monotonic() + RECONCILE_S, 0.0
    tried: list[str] = []
    while True:
        await asyncio.sleep(LOOK_S)
        due = [f"{each.site}/{each.device}" for each in await store.devices_ready_to_learn(around.settings.learn_rows)]
        now = time.monotonic()
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
