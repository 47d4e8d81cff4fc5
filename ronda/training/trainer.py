"""The watch over machines that are due to learn, as a part of its own: in a stack without `ronda up`'s hub."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from ronda.hub import open_database
from ronda.metrics.page import Metrics, metrics_served
from ronda.parts import Surroundings
from ronda.processes import kept_alive, until_told_to_stop
from ronda.training.learning import keep_learning


async def run_trainer() -> None:
    """Fit a model whenever a machine is due, until told to stop; the settings say where everything is."""
    around = Surroundings("trainer", None)
    async with metrics_served(around.settings, Metrics(Path.cwd()).page):
        work = asyncio.create_task(kept_alive("learning", partial(_watch, around)))
        await until_told_to_stop()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _watch(around: Surroundings) -> None:
    async with open_database(around) as database:
        await keep_learning(around, database)
