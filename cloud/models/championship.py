"""Who judges a machine: promotes, rolls back, lets a challenger run beside it. The store first, then the bus; the
registry's aliases follow, so that its absence stops nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cloud.storage.backtests import BacktestStore
from cloud.storage.model_versions import ModelVersion, ModelVersionStore, Status
from cloud.storage.promotions import Promotion, PromotionStore
from contract.errors import RondaError, TransientError
from contract.events import ModelPromotedEvent

log = logging.getLogger("ronda.models")

Announce = Callable[[Sequence[ModelPromotedEvent]], Awaitable[None]]


class UnknownModelError(RondaError):
    """There is no such model, or none to go back to."""


class RefusedModelError(RondaError):
    """The model may not come into force; the text says why and what to do. The one in force stays."""


class Checked(Protocol):
    """Where models' bytes are read (`cloud.models.artifacts.Artifacts`)."""

    async def check(self, model: ModelVersion) -> None:
        """Raises: ArtifactError when its bytes are not those registered, TransientError when their keeper is away."""


class Championship:
    """Moves models in and out of force. Raises everywhere: UnknownModelError, RefusedModelError."""

    def __init__(
        self,
        promotions: PromotionStore,
        versions: ModelVersionStore,
        backtests: BacktestStore,
        artifacts: Checked,
        announce: Announce,
        clock_ms: Callable[[], float],
    ) -> None:
        self._promotions = promotions
        self._versions = versions
        self._backtests = backtests
        self._artifacts = artifacts
        self._announce = announce
        self._clock_ms = clock_ms

    async def promote(self, site: str, device: str, version: str, *, force: bool = False) -> Promotion:
        """Bring this version into force, unless its last back-test speaks against it and nobody insists."""
        model = await self._known(site, device, version)
        if not force:
            await self._check_backtest(model)
        return await self._bring_into_force(model, mirrored=False)

    async def rollback(self, site: str, device: str, to: str | None = None) -> Promotion:
        """Back to the version that was in force before this one, or to any other that was; no trial is asked for."""
        history = await self._promotions.history(site, device)
        if not history:
            raise UnknownModelError(f"{site}/{device} has no model")
        earlier = [each for each in history[1:] if to is None or each.version == to]
        if to is None:
            earlier = [each for each in earlier if int(each.version) < int(history[0].version)]
        if not earlier:
            raise UnknownModelError(_nothing_to_go_back_to(history, to))
        return await self._bring_into_force(await self._known(site, device, earlier[0].version), mirrored=False)

    async def take_over(self, model: ModelVersion) -> Promotion:
        """Somebody moved the alias in the registry itself: the store and the bus follow."""
        await self._versions.add(model)
        return await self._bring_into_force(model, mirrored=True)

    async def challenge(self, model: ModelVersion) -> None:
        """Let it be scored beside the champion, in place of an earlier challenger."""
        await self._retire_candidates(model)
        await self._announce([model.challenge])

    async def refuse(self, model: ModelVersion) -> None:
        """It failed its trial: it is kept, and told nobody."""
        await self._versions.set_status(model.site, model.device, model.version, Status.REFUSED)

    async def _known(self, site: str, device: str, version: str) -> ModelVersion:
        # No version has characters that cannot be printed, and the store cannot even look for one with a NUL.
        model = await self._versions.get(site, device, version) if version.isprintable() else None
        if model is None:
            raise UnknownModelError(
                f"{site}/{device} has no version {version[:20]!r}; `ronda model list {site}/{device}` shows what it has"
            )
        return model

    async def _check_backtest(self, model: ModelVersion) -> None:
        trial = await self._backtests.latest(model.site, model.device, model.version)
        if trial is None and await self._promotions.current(model.site, model.device) is not None:
            raise RefusedModelError(
                f"version {model.version} was never tried on the stored history: "
                f"`ronda backtest {model.site}/{model.device} --version {model.version}` first, or insist with force"
            )
        if trial is not None and trial.decision == "refuse":
            raise RefusedModelError(f"the back-test of version {model.version} speaks against it: {trial.reason}")

    async def _bring_into_force(self, model: ModelVersion, *, mirrored: bool) -> Promotion:
        """Raises: RefusedModelError when its bytes were changed. Whoever keeps them being away stops nobody: the agent
        checks once more before it takes the model up.
        """
        try:
            await self._artifacts.check(model)
        except TransientError as error:
            log.warning("artifact.unchecked", extra=_about(model) | {"why": str(error)})
        except RondaError as error:
            raise RefusedModelError(f"version {model.version} is not promoted: {error}") from error
        promotion = await self._promotions.promote(model.promotion(int(self._clock_ms()), mirrored=mirrored))
        events = [promotion.event]
        if model.status is Status.CANDIDATE:
            events.append(model.withdrawn(promotion.promoted_at_ms))
        await self._announce(events)
        log.info("model.promoted", extra=_about(model) | {"rows": model.rows})
        return promotion

    async def _retire_candidates(self, but: ModelVersion) -> None:
        for model in await self._versions.history(but.site, but.device):
            if model.status is Status.CANDIDATE and model.version != but.version:
                await self._versions.set_status(model.site, model.device, model.version, Status.RETIRED)


def _nothing_to_go_back_to(history: Sequence[Promotion], to: str | None) -> str:
    now = history[0]
    if to is None:
        return f"version {now.version} is the first model of {now.site}/{now.device}: there is none before it"
    if to == now.version:
        return f"version {to} of {now.site}/{now.device} is in force already"
    return f"version {to[:20]!r} of {now.site}/{now.device} was never in force; use `ronda model promote`"


def _about(model: ModelVersion) -> dict[str, str]:
    return {"asset": f"{model.site}/{model.device}", "version": model.version}
