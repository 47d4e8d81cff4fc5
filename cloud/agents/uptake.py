"""Fetches announced models beside the scoring, and tries again for as long as their keeper is away."""

from __future__ import annotations

import asyncio
import enum
import logging
import math
from collections.abc import Callable
from typing import NamedTuple

from cloud.agents.detection_ports import EarlierFormatError, Models
from contract.errors import RondaError, TransientError
from contract.events import ModelPromotedEvent, ModelRole
from detection.model import Model

log = logging.getLogger("ronda.agents.detection")

# Beside each other; more would only queue at the one who keeps them.
_AT_ONCE = 4
# Away for a moment is tried again soon; away for a night is looked for once a minute and machine, four at a time.
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 1_000, 60_000


class Slot(NamedTuple):
    """Whose model: a machine has one champion and at most one challenger."""

    site: str
    device: str
    role: ModelRole = ModelRole.CHAMPION


class News(enum.StrEnum):
    """What an announcement means for the slot it is about."""

    NEW = "new"
    IN_USE = "in_use"
    OLDER = "older"
    REFUSED = "refused"


class Arrival(NamedTuple):
    """An announced model as it came: `model`, or `why` it is refused for good.

    Both where what its keeper has is refused, and the model is our own copy of what was promoted. `outdated`: of an
    earlier format, which is nobody's fault.
    """

    promotion: ModelPromotedEvent
    model: Model | None
    why: str = ""
    outdated: bool = False


class _Wanted:
    """An announcement whose model is on its way."""

    def __init__(self, promotion: ModelPromotedEvent, work: asyncio.Task[Arrival]) -> None:
        self.promotion = promotion
        self.work: asyncio.Task[Arrival] | None = work
        self.wait_ms = _FIRST_WAIT_MS
        self.again_ms = 0.0


def news(promotion: ModelPromotedEvent, in_use: ModelPromotedEvent | None, *, refused: bool) -> News:
    """What `promotion` means. The later promotion counts, not the larger version: a roll-back promotes an older one."""
    if refused:
        return News.REFUSED
    if in_use is None:
        return News.NEW
    if promotion.promoted_at_ms < in_use.promoted_at_ms:
        return News.OLDER
    return News.IN_USE if promotion.model == in_use.model else News.NEW


def slot_of(promotion: ModelPromotedEvent) -> Slot:
    """The slot that an announcement is about."""
    return Slot(promotion.site, promotion.device, promotion.role)


class Uptake:
    """Models on their way. Nothing here waits for whoever keeps them, so scoring never does either."""

    def __init__(self, models: Models, elapsed_ms: Callable[[], float]) -> None:
        self._models = models
        self._elapsed_ms = elapsed_ms
        self._wanted: dict[Slot, _Wanted] = {}
        self._refused: dict[Slot, set[tuple[str, str, int]]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def is_refused(self, promotion: ModelPromotedEvent) -> bool:
        """Was this very promotion refused? The same model promoted again later, perhaps mended, is another one."""
        return _mark(promotion) in self._refused.get(slot_of(promotion), ())

    def is_wanted(self, slot: Slot) -> bool:
        """Is a model for this slot on its way?"""
        return slot in self._wanted

    def want(self, promotion: ModelPromotedEvent) -> None:
        """Fetch this model, in place of an earlier one that is still on its way."""
        slot = slot_of(promotion)
        before = self._wanted.get(slot)
        if before is not None:
            if news(promotion, before.promotion, refused=False) is not News.NEW:
                return
            _cancel(before)
        self._wanted[slot] = _Wanted(promotion, self._begin(promotion))

    def forget(self, slot: Slot, *, before_ms: float = math.inf) -> None:
        """A model that was promoted before `before_ms` is not wanted here any more."""
        wanted = self._wanted.get(slot)
        if wanted is not None and wanted.promotion.promoted_at_ms < before_ms:
            _cancel(wanted)
            del self._wanted[slot]

    async def arrived(self, patience_s: float) -> list[Arrival]:
        """What has come by now, at most `patience_s` from now; what failed in passing is on its way again."""
        self._try_again()
        works = [wanted.work for wanted in self._wanted.values() if wanted.work is not None]
        if works:
            await asyncio.wait(works, timeout=patience_s)
        found = [self._outcome(slot, wanted) for slot, wanted in list(self._wanted.items())]
        return [arrival for arrival in found if arrival is not None]

    async def stop(self) -> None:
        """Let go of everything that is on its way."""
        for slot in list(self._wanted):
            self.forget(slot)

    def _begin(self, promotion: ModelPromotedEvent) -> asyncio.Task[Arrival]:
        return asyncio.create_task(self._load(promotion))

    async def _load(self, promotion: ModelPromotedEvent) -> Arrival:
        """What came of it. Raises: TransientError when its keeper is away."""
        async with self._turn:
            try:
                return Arrival(promotion, await self._models.load(promotion))
            except TransientError:
                raise
            except EarlierFormatError as error:
                return Arrival(promotion, None, str(error), outdated=True)
            except RondaError as error:
                return Arrival(promotion, await self._models.own_copy(promotion), str(error))

    def _try_again(self) -> None:
        for wanted in self._wanted.values():
            if wanted.work is None and self._elapsed_ms() >= wanted.again_ms:
                wanted.work = self._begin(wanted.promotion)

    def _outcome(self, slot: Slot, wanted: _Wanted) -> Arrival | None:
        if wanted.work is None or not wanted.work.done():
            return None
        error = wanted.work.exception()
        if isinstance(error, TransientError):
            self._later(slot, wanted, error)
            return None
        del self._wanted[slot]
        if error is None:
            arrival = wanted.work.result()
        else:
            log.error("model.stumbled", exc_info=error, extra=about(wanted.promotion))
            arrival = Arrival(wanted.promotion, None, str(error) or type(error).__name__)
        if arrival.model is None:
            self._refused.setdefault(slot, set()).add(_mark(wanted.promotion))
        else:
            self._refused.pop(slot, None)
        return arrival

    def _later(self, slot: Slot, wanted: _Wanted, error: TransientError) -> None:
        wanted.work, wanted.again_ms = None, self._elapsed_ms() + wanted.wait_ms
        again = {"again_in_s": wanted.wait_ms / 1000, "role": str(slot.role), "why": str(error)}
        log.warning("model.away", extra=about(wanted.promotion) | again)
        wanted.wait_ms = min(2 * wanted.wait_ms, _LONGEST_WAIT_MS)


def _cancel(wanted: _Wanted) -> None:
    if wanted.work is not None:
        wanted.work.cancel()


def _mark(promotion: ModelPromotedEvent) -> tuple[str, str, int]:
    return promotion.model.version, promotion.model.sha256, promotion.promoted_at_ms


def about(promotion: ModelPromotedEvent) -> dict[str, object]:
    """Which model, for the log."""
    return {"asset": f"{promotion.site}/{promotion.device}", "version": promotion.model.version}
