"""Every model that was fitted for a machine, and what became of it: what the registry knows, without asking it."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.promotions import Fitted, Promotion
from cloud.storage.tables import Backtest
from cloud.storage.tables import ModelVersion as Table
from contract.events import ModelPromotedEvent, ModelRole


class Status(enum.StrEnum):
    """Candidate: waits for its trial or for a person. Retired: was champion. Refused: by its trial."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    REFUSED = "refused"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A period that a fit did not look at, and why."""

    from_ms: int
    through_ms: int
    why: str

    @property
    def span(self) -> tuple[int, int]:
        """(from, through)."""
        return self.from_ms, self.through_ms


class ModelVersion(Fitted, frozen=True, kw_only=True):
    """A model with all that it was made of; `exceedance` and `factor` as measured without labels, None: not known."""

    created_at_ms: int
    code_version: str
    exceedance: float | None = None
    factor: float | None = None
    status: Status = Status.CANDIDATE
    excluded: list[LeftOut] = msgspec.field(default_factory=list)
    format: int = 1

    def promotion(self, at_ms: int, *, mirrored: bool = True) -> Promotion:
        """This model as the champion from now on; `mirrored`: the registry's alias says so already."""
        kept = {name: getattr(self, name) for name in Fitted.__struct_fields__}
        return Promotion(**kept, promoted_at_ms=at_ms, mirrored=mirrored)

    @property
    def challenge(self) -> ModelPromotedEvent:
        """What the bus is told of a challenger: to be scored beside the champion."""
        return msgspec.structs.replace(self.promotion(self.created_at_ms).event, role=ModelRole.CHALLENGER)

    def withdrawn(self, at_ms: int) -> ModelPromotedEvent:
        """What the bus is told when it is no challenger any more."""
        return msgspec.structs.replace(self.challenge, promoted_at_ms=at_ms, artifact_uri="")


class ModelVersionStore:
    """Keeps models; `PromotionStore.promote` moves `champion` and `retired`, everything else is said here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, model: ModelVersion) -> None:
        """Keep a model; the same again changes nothing."""
        row = insert(Table).values(msgspec.to_builtins(model)).on_conflict_do_nothing()
        async with self._database.begin() as connection:
            await connection.execute(row)

    async def get(self, site: str, device: str, version: str) -> ModelVersion | None:
        """One model, or None."""
        found = await self._found(_of(site, device).where(Table.version == version))
        return found[0] if found else None

    async def history(self, site: str, device: str) -> list[ModelVersion]:
        """All models of one machine, newest first."""
        return await self._found(_of(site, device).order_by(*_NEWEST_FIRST))

    async def in_question(self, site: str | None = None) -> list[ModelVersion]:
        """The models in force and those that wait, of everybody or of one site, by machine, newest first."""
        wanted = select(Table.__table__).where(Table.status.in_([Status.CHAMPION, Status.CANDIDATE]))
        wanted = wanted if site is None else wanted.where(Table.site == site)
        return await self._found(wanted.order_by(Table.site, Table.device, *_NEWEST_FIRST))

    async def set_status(self, site: str, device: str, version: str, status: Status) -> None:
        """Say what became of a model that is not the champion."""
        mine = (Table.site == site, Table.device == device, Table.version == version)
        change = update(Table).where(*mine, Table.status != Status.CHAMPION).values(status=status)
        async with self._database.begin() as connection:
            await connection.execute(change)

    async def challengers(self) -> list[ModelPromotedEvent]:
        """The candidates that passed their trial and wait for a person, as the bus is told of them."""
        passed = select(Backtest).where(
            Backtest.site == Table.site,
            Backtest.device == Table.device,
            Backtest.version == Table.version,
            Backtest.decision == "wait",
        )
        waiting = select(Table.__table__).where(Table.status == Status.CANDIDATE, passed.exists())
        found = await self._found(waiting.order_by(Table.site, Table.device, Table.created_at_ms))
        return [model.challenge for model in found]

    async def _found(self, query: Select[*tuple[Any, ...]]) -> list[ModelVersion]:
        async with self._database.begin() as connection:
            return [msgspec.convert(row._asdict(), ModelVersion) for row in await connection.execute(query)]


# Versions are numbers written as text, and of one moment the later number is the newer.
_NEWEST_FIRST = (Table.created_at_ms.desc(), func.length(Table.version).desc(), Table.version.desc())


def _of(site: str, device: str) -> Select[*tuple[Any, ...]]:
    return select(Table.__table__).where(Table.site == site, Table.device == device)
