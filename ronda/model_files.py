"""Models by their announced address, read beside the event loop, with copies of each machine's last good ones.

The copies are for a start or a roll-back while their keeper is away, or has other bytes than were promoted: one counts
only with the promoted checksum.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from cloud.agents.detection_ports import EarlierFormatError
from cloud.agents.fault_names import ClassifierRef
from cloud.models.artifacts import ArtifactError, Artifacts, OutdatedModelError
from contract.errors import TransientError
from contract.events import ModelPromotedEvent
from detection.classifier import Classifier
from detection.errors import ModelError
from detection.model import Model, sha256

# The one in use, the one to go back to, and one more.
_COPIES = 3

log = logging.getLogger("ronda.agents.detection")


class ModelFiles:
    """The detection agent's models. `copies`: a folder for them; None: there is no place for any."""

    def __init__(self, artifacts: Artifacts, copies: Path | None = None) -> None:
        self._artifacts = artifacts
        self._copies = copies

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        """The promoted model.

        Raises: ArtifactError when its bytes are not what was promoted, EarlierFormatError when they are of an earlier
            format; TransientError when their keeper is away and there is no copy.
        """
        return await asyncio.to_thread(self._load, promotion)

    async def load_classifier(self, ref: ClassifierRef) -> Classifier:
        """A site's classifier. Raises as `load`; there is no copy, since alarms are raised without it."""
        payload = await asyncio.to_thread(self._artifacts.fetch, ref.artifact_uri, ref.sha256)
        try:
            return Classifier.from_bytes(payload)
        except ModelError as error:
            raise ArtifactError(f"the classifier at {ref.artifact_uri} cannot be used: {error}") from error

    async def own_copy(self, promotion: ModelPromotedEvent) -> Model | None:
        """Our copy of the promoted bytes, whatever their keeper has; None when there is none."""
        return await asyncio.to_thread(self._copied, promotion)

    def _load(self, promotion: ModelPromotedEvent) -> Model:
        try:
            model = self._artifacts.load(promotion.artifact_uri, promotion.model.sha256)
        except OutdatedModelError as error:
            raise EarlierFormatError(str(error)) from error
        except TransientError:
            kept = self._copied(promotion)
            if kept is None:
                raise
            return kept
        if self._copies is not None:
            _write(self._copies / _name(promotion), model.to_bytes(), f"{_machine(promotion)}.*.json")
        return model

    def _copied(self, promotion: ModelPromotedEvent) -> Model | None:
        """Only with the promoted checksum: what lies in a folder may have been changed there."""
        if self._copies is None:
            return None
        with contextlib.suppress(OSError, ModelError):
            payload = (self._copies / _name(promotion)).read_bytes()
            if sha256(payload) == promotion.model.sha256:
                model = Model.from_bytes(payload)
                log.warning("model.copied", extra={"asset": f"{promotion.site}/{promotion.device}"})
                return model
        return None


def _machine(promotion: ModelPromotedEvent) -> str:
    return f"{promotion.site}.{promotion.device}"


def _name(promotion: ModelPromotedEvent) -> str:
    return f"{_machine(promotion)}.{promotion.model.sha256[:16]}.json"


def _write(path: Path, payload: bytes, alike: str) -> None:
    """Whole or not at all, and only the newest stay; without it a start while the keeper is away has to wait."""
    half = path.with_suffix(".half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(payload)
        half.replace(path)
        newest_first = sorted(path.parent.glob(alike), key=lambda copy: -copy.stat().st_mtime_ns)
        for old in newest_first[_COPIES:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("copy.unwritten", extra={"path": str(path), "why": str(error)})
