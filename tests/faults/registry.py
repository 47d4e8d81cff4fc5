"""A real MLflow that is away while the detection, which has just begun anew, wants the model from it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import psutil  # type: ignore[import-untyped]

from tests.faults.fault import Fault, Hit
from tests.faults.models import MLFLOW
from tests.faults.plant import Plant

_LASTS_S = (0.5, 4.0)
_ASKED_WITHIN_S = 30.0
# MLflow takes ten seconds to start alone on two cores, and several times as long beside everything else.
_WITHIN_S = 180.0
# Less than a model has.
_BYTES = 2_000


async def models_away(plant: Plant, trouble: Callable[[Plant], AbstractAsyncContextManager[None]]) -> Hit:
    """The detection has no copy, and asks in vain."""
    under_way, before = plant.under_way, plant.models.line.came
    async with trouble(plant):
        plant.processes["anomaly-detection"].kill()
        async with asyncio.timeout(_ASKED_WITHIN_S):
            while plant.models.line.came == before:
                await asyncio.sleep(0.05)
        await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    return Hit(under_way, f"asked {plant.models.line.came - before} times meanwhile")


@contextlib.asynccontextmanager
async def _killed(plant: Plant) -> AsyncIterator[None]:
    """Kill -9, and it comes back only later."""
    plant.others[MLFLOW].hold_down()
    plant.others[MLFLOW].kill()
    yield
    plant.others[MLFLOW].release()


@contextlib.asynccontextmanager
async def _stopped(plant: Plant) -> AsyncIterator[None]:
    """SIGSTOP to the server and its worker: connections are taken and nothing is answered."""
    first = psutil.Process(plant.others[MLFLOW].pid)
    family = [first, *first.children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGSTOP)
    yield
    for process in family:
        process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def _away(plant: Plant) -> AsyncIterator[None]:
    """Nobody gets through to it."""
    plant.models.line.refuse()
    yield
    plant.models.line.heal()


@contextlib.asynccontextmanager
async def _breaking(plant: Plant) -> AsyncIterator[None]:
    """The line breaks in the middle of the model."""
    plant.models.line.lose(_BYTES)
    yield
    plant.models.line.heal()


_TROUBLES = {"killed": _killed, "stopped": _stopped, "away": _away, "breaks off": _breaking}

REGISTRY = tuple(
    Fault(
        f"MLflow {how} while a model is fetched",
        partial(models_away, trouble=trouble),
        within_s=_WITHIN_S,
        alarms=True,
        needs="mlflow",
    )
    for how, trouble in _TROUBLES.items()
)
