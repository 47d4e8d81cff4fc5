"""The trainer: a short-lived process that fits models, registers them in MLflow and announces what is in force."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from broker.credentials import SERVICE_PREFIX, secret_client_id
from broker.mqtt import MqttBus
from cloud.models.registry import Registry
from cloud.models.training import train
from cloud.storage.database import Database
from cloud.storage.promotions import Promotion, PromotionStore
from cloud.storage.readings import ReadingStore
from contract.codec import encode_events
from contract.errors import TransientError
from contract.events import ModelPromotedEvent
from contract.names import split_address
from ronda.fleet import read_fleet
from ronda.hub import open_database
from ronda.installation import Installation, InstallationError
from ronda.parts import Surroundings, clock_ms
from ronda.settings import load_settings

log = logging.getLogger("ronda.train")

# The first start: how long the database may take to appear, and the emulated machines' past to arrive.
_APPEAR_S = 120.0
_FIRST_MODELS_S = 150.0
_LOOK_S = 0.3


class Pupil(msgspec.Struct, frozen=True):
    """A machine that is to learn from its first `learn_rows` readings."""

    site: str
    device: str
    learn_rows: int


async def run_training(data: Path | None, addresses: Sequence[str], *, first: bool) -> None:
    """Train `addresses`, or all that are due; then announce every champion that the store does not know.

    `first`: begin with the registry, wait for the database, and stay until every emulated machine has its model.
    """
    asked = [split_address(address) for address in addresses]
    with _alone(data):
        if first and data is not None:
            # The imports and MLflow's tables take seconds: under way before there is anything to learn from.
            _registry_of_a_first_start(data).prepare()
            await _runtime_appears(data)
        around = Surroundings("trainer", data)
        registry = Registry(around.runtime.tracking_uri, around.runtime.artifact_root)
        registry.prepare()
        async with open_database(around) as database:
            trainer = Trainer(around, database, registry)
            if first and data is not None:
                await trainer.until_fleet_has_learned(Installation(data))
            elif asked:
                await trainer.train([Pupil(*address, around.settings.learn_rows) for address in asked])
                trainer.check_all_learned()
            else:
                await trainer.train_due()
                await trainer.reconcile()


class Trainer:
    """Fits and announces."""

    def __init__(self, around: Surroundings, database: Database, registry: Registry) -> None:
        self._around = around
        self._registry = registry
        self._readings = ReadingStore(database)
        self._promotions = PromotionStore(database)
        self._unlearned: list[str] = []

    async def train(self, pupils: Sequence[Pupil]) -> None:
        """Fit, register, promote and announce, one machine after the other."""
        for pupil in pupils:
            promoted = await train(
                self._readings,
                self._registry,
                self._promotions,
                [pupil],
                code_version=version("ronda"),
                clock_ms=lambda: int(clock_ms()),
            )
            await self._announce(promoted)
            self._tell(pupil, promoted)

    def check_all_learned(self) -> None:
        """Raises: InstallationError naming those from which nothing could be learned."""
        if self._unlearned:
            raise InstallationError(f"no model for {', '.join(self._unlearned)}: the log of the trainer says why")

    def _tell(self, pupil: Pupil, promoted: Sequence[ModelPromotedEvent]) -> None:
        asset = f"{pupil.site}/{pupil.device}"
        for event in promoted:
            print(f"{asset}: version {event.model.version} of {event.model.name} is champion, run {event.model.run_id}")
        if not promoted:
            self._unlearned.append(asset)
            print(f"{asset}: nothing learned")

    async def train_due(self) -> None:
        """Those that have enough readings for their first model."""
        due = await self._readings.devices_ready_to_learn(self._around.settings.learn_rows)
        await self.train([Pupil(each.site, each.device, each.learn_rows) for each in due])

    async def until_fleet_has_learned(self, installation: Installation) -> None:
        """Train as the emulated machines' past arrives, until the last has its model."""
        expected = {
            (each.site, each.device) for each in read_fleet(installation) if each.role == "pump" or each.prepare
        }
        async with _within(_FIRST_MODELS_S):
            while expected - await self._judged():
                await self.train_due()
                await asyncio.sleep(_LOOK_S)

    async def reconcile(self) -> None:
        """Take over champions that were moved in the registry itself, such as on MLflow's own page."""
        known = {(each.site, each.device): each for each in await self._promotions.all_current()}
        moved = [each for each in await asyncio.to_thread(self._registry.champions) if _differs(each, known)]
        for promotion in moved:
            now = msgspec.structs.replace(promotion, promoted_at_ms=int(clock_ms()))
            await self._promotions.promote(now)
            log.info("champion.moved", extra={"asset": f"{now.site}/{now.device}", "version": now.version})
            await self._announce([now.event])

    async def _judged(self) -> set[tuple[str, str]]:
        return {(each.site, each.device) for each in await self._promotions.all_current()}

    async def _announce(self, events: Sequence[ModelPromotedEvent]) -> None:
        if not events:
            return
        address = self._around.mqtt("trainer")
        client_id = secret_client_id(f"{SERVICE_PREFIX}trainer-process", address.password)
        async with MqttBus(address, client_id, persistent=False) as bus:
            await bus.publish(encode_events(events), retain=True)


def _differs(promotion: Promotion, known: dict[tuple[str, str], Promotion]) -> bool:
    current = known.get((promotion.site, promotion.device))
    return current is None or current.version != promotion.version


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
def _alone(data: Path | None) -> Iterator[None]:
    """One trainer at a time; a second one waits for the first, and then mostly finds nothing to do."""
    if data is None:
        yield
        return
    with (Installation(data).mlflow / ".trainer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
