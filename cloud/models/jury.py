"""What becomes of a candidate: it is tried on the stored history, and comes into force, waits, or is refused."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from cloud.models.artifacts import ArtifactError, OutdatedModelError
from cloud.models.backtest import Decision, Policy, Reason, on_an_unwatched_machine, verdict_on
from cloud.models.championship import Championship
from cloud.models.trial import Backtester, Progress, Trial
from cloud.storage.backtests import BacktestRecord, BacktestStore
from cloud.storage.model_versions import ModelVersion
from cloud.storage.promotions import Promotion, PromotionStore
from contract.identity import digest_id
from detection.model import Model

log = logging.getLogger("ronda.models")

PROMOTE, WAIT, REFUSE = "promote", "wait", "refuse"


class Loader(Protocol):
    """Where models' bytes are read; blocking (`cloud.models.artifacts.Artifacts`)."""

    def load(self, artifact_uri: str, checksum: str) -> Model:
        """Raises: ArtifactError when they are not those that were registered."""


class _Champion(NamedTuple):
    """The model to beat, None: there is none that can be read; `is_outdated`: since it is of an earlier program."""

    model: Model | None = None
    is_outdated: bool = False


class Jury:
    """Tries candidates; `automatic`: those within bounds come into force by themselves, else they challenge."""

    def __init__(
        self,
        backtester: Backtester,
        backtests: BacktestStore,
        promotions: PromotionStore,
        championship: Championship,
        models: Loader,
        clock_ms: Callable[[], float],
        *,
        automatic: bool,
        policy: Policy | None = None,
    ) -> None:
        self._backtester = backtester
        self._backtests = backtests
        self._promotions = promotions
        self._championship = championship
        self._models = models
        self._clock_ms = clock_ms
        self._automatic = automatic
        self._policy = policy or Policy()

    async def settle(self, candidate: ModelVersion) -> tuple[BacktestRecord | None, Promotion | None]:
        """The trial, None for a first model, which has nothing to be tried against; the promotion, where there is one.

        A machine that nobody watches is worse than one whose model nobody looked at: a first model always comes into
        force, and so does the first after an upgrade that no earlier one can be read with.
        """
        if await self._promotions.current(candidate.site, candidate.device) is None:
            return None, await self._promote(candidate)
        record, _ = await self.judge(candidate)
        if record.decision == REFUSE:
            await self._championship.refuse(candidate)
            return record, None
        if record.decision == PROMOTE:
            return record, await self._promote(candidate)
        await self._championship.challenge(candidate)
        return record, None

    async def judge(
        self,
        candidate: ModelVersion,
        *,
        from_ms: int | None = None,
        through_ms: int | None = None,
        progress: Progress = lambda _: None,
    ) -> tuple[BacktestRecord, Decision]:
        """Try it against the champion over this period, by default the last day, and keep what was found there.

        A period that somebody chose is for looking: kept as the latest trial, a quiet hour would take a refusal back.
        The champion itself is tried against the one before it.
        """
        history = await self._promotions.history(candidate.site, candidate.device)
        current = next((each for each in history if each.version != candidate.version), None)
        champion = _Champion() if current is None else await self._champion(current)
        trial = await self._backtester.try_out(
            candidate.site,
            candidate.device,
            await self._model(candidate),
            champion.model,
            from_ms=from_ms,
            through_ms=through_ms,
            progress=progress,
        )
        decision = verdict_on(
            trial.found,
            replayed_ms=trial.replayed_ms,
            exceedance=candidate.exceedance,
            first=current is None,
            policy=self._policy,
        )
        if champion.is_outdated:
            decision = on_an_unwatched_machine(decision)
        record = self._record(candidate, current, trial, decision)
        if from_ms is None and through_ms is None:
            await self._backtests.add(record)
        log.info(
            "model.tried",
            extra={
                "asset": f"{candidate.site}/{candidate.device}",
                "version": candidate.version,
                "decision": record.decision,
                "reason": str(decision.reason),
            },
        )
        return record, decision

    async def _champion(self, current: Promotion) -> _Champion:
        """Without a model when it cannot be read: what was really raised is left to compare."""
        try:
            return _Champion(await self._model(current))
        except ArtifactError as error:
            asset = f"{current.site}/{current.device}"
            log.warning("champion.unreadable", extra={"asset": asset, "version": current.version, "why": str(error)})
            return _Champion(is_outdated=isinstance(error, OutdatedModelError))

    async def _promote(self, candidate: ModelVersion) -> Promotion:
        return await self._championship.promote(candidate.site, candidate.device, candidate.version, force=True)

    async def _model(self, kept: ModelVersion | Promotion) -> Model:
        return await asyncio.to_thread(self._models.load, kept.artifact_uri, kept.sha256)

    def _outcome(self, decision: Decision) -> str:
        if not decision.promote:
            return WAIT if decision.ask else REFUSE
        # As a first model: who wants to decide for himself does not want a machine that nobody watches.
        return PROMOTE if self._automatic or decision.reason is Reason.UNWATCHED else WAIT

    def _record(
        self, candidate: ModelVersion, current: Promotion | None, trial: Trial, decision: Decision
    ) -> BacktestRecord:
        at_ms = int(self._clock_ms())
        return BacktestRecord(
            id=digest_id(candidate.site, candidate.device, candidate.version, at_ms),
            site=candidate.site,
            device=candidate.device,
            version=candidate.version,
            against=None if current is None else current.version,
            from_ms=trial.from_ms,
            through_ms=trial.through_ms,
            readings=trial.readings,
            appeared=trial.found.appeared,
            vanished=trial.found.vanished,
            kept=trial.found.kept,
            decision=self._outcome(decision),
            reason=f"{decision.reason}: {decision.detail}",
            at_ms=at_ms,
        )
