"""The trainer: a short-lived process that fits models, tries them, and announces what is in force."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from cloud.models.jury import REFUSE
from cloud.models.registry import Registry
from cloud.models.training import Past, School, due_again
from cloud.storage.backtests import BacktestRecord
from cloud.storage.database import Database
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.promotions import Promotion, PromotionStore
from cloud.storage.reading_blocks import Learner
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import VerdictStore
from contract.errors import TransientError
from contract.names import split_address
from detection.errors import FitError
from detection.model import FORMAT
from ronda.fleet import read_fleet
from ronda.installation import Installation, InstallationError, folder_of
from ronda.parts import Surroundings, clock_ms
from ronda.settings import load_settings
from ronda.store import opened_store
from ronda.training.force import Announcer, championship
from ronda.training.mirror import Mirror
from ronda.training.spans import moment_ms, spans_ms
from ronda.training.trying import jury

log = logging.getLogger("ronda.train")

# The first start: how long the database may take to appear, and the emulated machines' past to arrive.
_APPEAR_S = 120.0
_FIRST_MODELS_S = 150.0
_LOOK_S = 0.3


async def run_training(data: Path | None, addresses: Sequence[str], *, first: bool, past: Past) -> None:
    """Train `addresses` on this `past`, or all that are due; then make the store and the registry say the same.

    `first`: begin with the registry, wait for the database, and stay until every emulated machine has its model.
    """
    asked = [split_address(address) for address in addresses]
    data = folder_of(load_settings("trainer"), data)
    with alone(data):
        if first and data is not None:
            # The imports and MLflow's tables take seconds: under way before there is anything to learn from.
            _registry_of_a_first_start(data).prepare()
            await _runtime_appears(data)
        around = Surroundings("trainer", data)
        registry = Registry(around.runtime.tracking_uri, around.runtime.artifact_root)
        registry.prepare()
        async with opened_store(around.runtime.database_url, around.settings) as database:
            trainer = Trainer(around, database, registry)
            if first and data is not None:
                await trainer.until_fleet_has_learned(Installation(data))
            elif asked:
                await trainer.train_asked(asked, past)
            else:
                await trainer.train_due()
                await trainer.mirror.reconcile()


def asked_past(from_: str | None, through: str | None, exclude: Sequence[str], *, named: bool) -> Past:
    """What a person wants to be learned from. Raises: InstallationError for a period of no machine in particular."""
    if not named and (from_ or through or exclude):
        raise InstallationError("--from, --through and --exclude are about machines: name them, SITE/DEVICE")
    return Past(
        from_ms=moment_ms(from_, "--from"),
        through_ms=moment_ms(through, "--through"),
        marked=spans_ms(exclude, "--exclude"),
    )


class Trainer:
    """Fits, tries and brings into force, one machine after the other."""

    def __init__(self, around: Surroundings, database: Database, registry: Registry) -> None:
        self._around = around
        self._registry = registry
        self._readings = ReadingStore(database)
        self._verdicts = VerdictStore(database)
        self._promotions = PromotionStore(database)
        moves = championship(around, database, Announcer(around))
        self._jury = jury(around, database, moves)
        self._school = School(
            self._readings,
            self._verdicts,
            ModelVersionStore(database),
            registry,
            code_version=version("ronda"),
            clock_ms=clock_ms,
        )
        self.mirror = Mirror(self._promotions, moves, registry)

    async def train_asked(self, addresses: Sequence[tuple[str, str]], past: Past) -> None:
        """Those that a person named. Raises: InstallationError naming those from which nothing could be learned."""
        learned = [await self._train(site, device, past) for site, device in addresses]
        if unlearned := [f"{s}/{d}" for (s, d), done in zip(addresses, learned, strict=True) if not done]:
            raise InstallationError(f"no model for {', '.join(unlearned)}: see above why")

    async def train_due(self) -> None:
        """Those that wait for their first model, whose model nobody can read any more, or that have more to learn from.

        That is twice as many readings, or as many as make a first model at a speed that no model of theirs knows.
        """
        await self._train_first(await self._readings.devices_ready_to_learn(self._around.settings.learn_rows))
        for outdated in await self._readings.devices_to_learn_anew(FORMAT):
            await self._train(outdated.site, outdated.device, Past())
        for grown in await due_again(self._readings, self._verdicts):
            await self._train(grown.site, grown.device, Past(least=grown.needed))
        for site, device in await self._readings.devices_at_a_loss(self._around.settings.learn_rows):
            await self._train(site, device, Past())

    async def until_fleet_has_learned(self, installation: Installation) -> None:
        """Train as the emulated machines' past arrives, until the last has its model."""
        expected = {
            (each.site, each.device) for each in read_fleet(installation) if each.role == "pump" or each.prepare
        }
        async with _within(_FIRST_MODELS_S):
            while expected - await self._judged():
                await self._train_first(await self._readings.devices_ready_to_learn(self._around.settings.learn_rows))
                await asyncio.sleep(_LOOK_S)

    async def _train_first(self, learners: Sequence[Learner]) -> None:
        for each in learners:
            past = Past(rows=each.learn_rows, least=each.learn_rows, oldest=True)
            if not await self._train(each.site, each.device, past):
                # A machine that stood still when it was added teaches nothing by its first readings.
                await self._train(each.site, each.device, msgspec.structs.replace(past, oldest=False))

    async def _train(self, site: str, device: str, past: Past) -> bool:
        """Was anything learned, whatever became of it then?"""
        asset = f"{site}/{device}"
        try:
            candidate = await self._school.teach(site, device, past)
        except FitError as error:
            log.warning("model.unlearnable", extra={"asset": asset, "why": str(error)})
            print(f"{asset}: nothing learned: {error}")
            return False
        trial, promotion = await self._jury.settle(candidate)
        await self._follow(candidate, trial, promotion)
        print(told(candidate, trial, promotion))
        return True

    async def _follow(self, candidate: ModelVersion, trial: BacktestRecord | None, promotion: Promotion | None) -> None:
        """The registry's aliases follow what was decided."""
        where = candidate.site, candidate.device, candidate.version
        if promotion is not None:
            await self.mirror.move_alias(promotion)
        elif trial is not None and trial.decision == REFUSE:
            await asyncio.to_thread(self._registry.retire, *where, trial.reason)
        else:
            await asyncio.to_thread(self._registry.challenge, *where)

    async def _judged(self) -> set[tuple[str, str]]:
        return {(each.site, each.device) for each in await self._promotions.all_current()}


def told(candidate: ModelVersion, trial: BacktestRecord | None, promotion: Promotion | None) -> str:
    """What became of a training, as one line."""
    asset = f"{candidate.site}/{candidate.device}"
    learned = (
        f"{asset}: version {candidate.version} of {candidate.name}, learned from {candidate.rows:,} healthy readings,"
    )
    if promotion is not None:
        return f"{learned} is champion, run {candidate.run_id}"
    if trial is not None and trial.decision == REFUSE:
        return f"{learned} is refused by its back-test: {trial.reason}"
    learned += f" waiting for a person ({trial.reason})," if trial is not None and trial.reason else ""
    return f"{learned} challenges the champion; `ronda model promote {asset} {candidate.version}` promotes it"


def _registry_of_a_first_start(data: Path) -> Registry:
    """The one that `ronda up` will name, before it has."""
    installation, settings = Installation(data), load_settings()
    return Registry(installation.own_tracking_uri, settings.mlflow_artifact_root or installation.own_artifact_root)


async def _runtime_appears(data: Path) -> None:
    """Wait for `ronda up` to have started the database."""
    async with _within(_APPEAR_S):
        while True:
            with contextlib.suppress(InstallationError):
                Installation(data).runtime()
                return
            await asyncio.sleep(_LOOK_S)


@contextlib.asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TransientError(f"no first models after {seconds:.0f} s; the log of the hub says why") from error


@contextlib.contextmanager
def alone(data: Path | None) -> Iterator[None]:
    """One trainer at a time; a second one waits for the first, and then mostly finds nothing to do."""
    if data is None:
        yield
        return
    folder = Installation(data).mlflow
    if not folder.is_dir():
        raise InstallationError(f"there is no installation in {data}; `ronda up --data {data}` makes one")
    with (folder / ".trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
