"""The classifier of each site: it names the likely fault beside an alarm's evidence; without one the rules do alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from contract.errors import RondaError, TransientError
from detection.classifier import Classifier

if TYPE_CHECKING:
    from cloud.agents.detection_ports import Models

log = logging.getLogger("ronda.agents.detection")


class ClassifierRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which classifier a site has, where its bytes are, and what they must hash to."""

    site: str
    name: str
    version: str
    sha256: str
    artifact_uri: str


class Named(msgspec.Struct, frozen=True):
    """A classifier and what it is called, with its version."""

    classifier: Classifier | None = None
    name: str = ""


class FaultNames:
    """Classifiers by site, fetched beside the scoring; one that cannot be used leaves the one before in place."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._in_use: dict[str, tuple[ClassifierRef, Named]] = {}
        self._refused: set[ClassifierRef] = set()
        self._work: asyncio.Task[None] | None = None

    def of(self, site: str) -> Named:
        """What names the faults of this site's machines."""
        _, named = self._in_use.get(site, (None, Named()))
        return named

    def look(self, refs: Sequence[ClassifierRef]) -> None:
        """These are in force: fetch those that are new, unless the last look is still at it."""
        new = [ref for ref in refs if ref not in self._refused and self._is_new(ref)]
        if new and (self._work is None or self._work.done()):
            self._work = asyncio.create_task(self._fetch(new))

    async def settled(self, patience_s: float) -> None:
        """Wait for what is being fetched, at most so long."""
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=patience_s)

    def stop(self) -> None:
        """Let go of what is being fetched."""
        if self._work is not None:
            self._work.cancel()

    def _is_new(self, ref: ClassifierRef) -> bool:
        known = self._in_use.get(ref.site)
        return known is None or known[0] != ref

    async def _fetch(self, refs: Sequence[ClassifierRef]) -> None:
        for ref in refs:
            fields = {"site": ref.site, "version": ref.version}
            try:
                classifier = await self._models.load_classifier(ref)
            except TransientError as error:
                log.warning("classifier.away", extra=fields | {"why": str(error)})
            except RondaError as error:
                self._refused.add(ref)
                log.error("classifier.refused", extra=fields | {"why": str(error)})  # noqa: TRY400  # no bug of ours
            else:
                self._in_use[ref.site] = ref, Named(classifier, f"{ref.name} v{ref.version}")
                log.info("classifier.loaded", extra=fields)
