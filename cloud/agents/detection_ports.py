"""What the detection agent needs of its surroundings: where models come from, and the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from cloud.agents.assets import Position
from cloud.agents.fault_names import ClassifierRef
from cloud.agents.shadow import Tally
from contract.errors import RondaError
from contract.events import (
    AnomalyDetectedEvent,
    InputDriftedEvent,
    MachineStateEvent,
    ModelPromotedEvent,
    ModelRefusedEvent,
    Readings,
)
from detection.classifier import Classifier
from detection.limits import Limit
from detection.model import Model


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Where the detector of one machine stands: what a restart goes on from. `drift`: the hour of its inputs so far."""

    site: str
    device: str
    model_version: str
    position: Position
    state: bytes
    drift: bytes | None = None


class Kept(msgspec.Struct, kw_only=True):
    """What is written in one transaction: the snapshots, and what was found on the way to them.

    `hours` are those of inputs that were compared; of them only those in `drifted` are said.
    """

    snapshots: list[Snapshot] = []
    anomalies: list[AnomalyDetectedEvent] = []
    states: list[MachineStateEvent] = []
    hours: list[InputDriftedEvent] = []
    drifted: list[InputDriftedEvent] = []
    refusals: list[ModelRefusedEvent] = []
    tallies: list[Tally] = []

    @property
    def anything(self) -> bool:
        """Is there something to write?"""
        return any(getattr(self, name) for name in self.__struct_fields__)


Published = AnomalyDetectedEvent | InputDriftedEvent | ModelRefusedEvent


class EarlierFormatError(RondaError):
    """A sound model of an earlier program, which this one cannot read: it is learned anew, and nobody did wrong."""


class Models(Protocol):
    """Where models come from."""

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        """The promoted model.

        Raises: RondaError when its bytes are not what was promoted, EarlierFormatError when this program cannot read
            them any more; TransientError when whoever keeps them is away.
        """

    async def own_copy(self, promotion: ModelPromotedEvent) -> Model | None:
        """Our own copy of the promoted bytes, whatever its keeper has; None when there is none."""

    async def load_classifier(self, ref: ClassifierRef) -> Classifier:
        """A site's classifier. Raises as `load`."""


class Memory(Protocol):
    """The store, as the detector uses it."""

    async def champions(self) -> Sequence[ModelPromotedEvent]:
        """Every machine's model in force."""

    async def champions_before(self, site: str, device: str) -> Sequence[ModelPromotedEvent]:
        """Every model that was ever in force for this machine, the latest promoted first."""

    async def snapshot(self, site: str, device: str) -> Snapshot | None:
        """Where this machine's detector stood last."""

    async def open_anomalies(self, site: str, device: str) -> Sequence[AnomalyDetectedEvent]:
        """What is open for this machine, each as it stands, the oldest first."""

    async def rows_after(self, site: str, device: str, after: Position, limit: int) -> Sequence[Readings]:
        """At most `limit` stored readings later than `after`, in event-time order."""

    async def keep(self, kept: Kept) -> Sequence[str]:
        """All in one transaction, what is said also to be published; repeats change nothing.

        Returns the ids of the refusals that were not known before.
        """

    async def unpublished(self) -> Sequence[Published]:
        """Events that were kept and perhaps never published, because the process died in between."""

    async def published(self, ids: Sequence[str]) -> None:
        """The events with these ids reached the broker."""

    async def challengers(self) -> Sequence[ModelPromotedEvent]:
        """The models that are compared with those in force."""

    async def limits(self) -> Mapping[tuple[str, str], Sequence[Limit]]:
        """The limits that people and standards set, by (site, device)."""

    async def classifiers(self) -> Sequence[ClassifierRef]:
        """What names the faults of each site that has a classifier."""

    async def units(self, site: str, device: str) -> Mapping[str, str]:
        """Metric → unit, as registered."""
