"""Keeps the store and the registry's aliases the same, whichever of them was changed."""

from __future__ import annotations

import asyncio
import logging

from cloud.models.championship import Championship, RefusedModelError
from cloud.models.registry import Registry
from cloud.storage.model_versions import ModelVersion
from cloud.storage.promotions import Promotion, PromotionStore

log = logging.getLogger("ronda.train")


class Mirror:
    """What was promoted here moves the alias there; an alias that somebody moved there promotes here."""

    def __init__(self, promotions: PromotionStore, championship: Championship, registry: Registry) -> None:
        self._promotions = promotions
        self._championship = championship
        self._registry = registry

    async def reconcile(self) -> None:
        """Ours first: a roll-back while the registry was away must not be undone by its old alias."""
        for promotion in await self._promotions.unmirrored():
            await self.move_alias(promotion)
        there = await asyncio.to_thread(self._registry.champions)
        # Read after theirs: what was promoted meanwhile is not mirrored yet, and left alone.
        here = {(each.site, each.device): each for each in await self._promotions.all_current()}
        for model in there:
            if moved_there(model, here.get((model.site, model.device))):
                await self._take_over(model)

    async def move_alias(self, promotion: Promotion) -> None:
        """Tell the registry who is champion."""
        await asyncio.to_thread(self._registry.promote, promotion.site, promotion.device, promotion.version)
        await self._promotions.mark_mirrored(promotion)

    async def _take_over(self, model: ModelVersion) -> None:
        fields = {"asset": f"{model.site}/{model.device}", "version": model.version}
        try:
            await self._championship.take_over(model)
        except RefusedModelError as error:
            log.error("champion.refused", extra=fields | {"why": str(error)})  # noqa: TRY400  # said in its own words
        else:
            log.info("champion.moved", extra=fields)


def moved_there(model: ModelVersion, here: Promotion | None) -> bool:
    """Did somebody move the alias in the registry, such as on MLflow's own page?"""
    return here is None or (here.mirrored and here.version != model.version)
