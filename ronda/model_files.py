"""Models by their announced address, read beside the event loop, with copies of each machine's last good ones.

The copies are for a start or a roll-back while their keeper is away: one counts only with the promoted checksum.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from cloud.agents.fault_names import ClassifierRef
from cloud.models.artifacts import ArtifactError, Artifacts
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

        Raises: ArtifactError when its bytes are not what was promoted; TransientError when their keeper is away and
            there is no copy.
        """
        return await asyncio.to_thread(self._load, promotion)

    async def load_classifier(self, ref: ClassifierRef) -> Classifier:
        """A site's classifier. Raises as `load`; there is no copy, since alarms are raised without it."""
        payload = await asyncio.to_thread(self._artifacts.fetch, ref.artifact_uri, ref.sha256)
        try:
            return Classifier.from_bytes(payload)
        except ModelError as error:
            raise ArtifactError(f"the classifier at {ref.artifact_uri} cannot be used: {error}") from error

    def _load(self, promotion: ModelPromotedEvent) -> Model:
        machine, checksum = f"{promotion.site}.{promotion.device}", promotion.model.sha256
        copy = None if self._copies is None else self._copies / f"{machine}.{checksum[:16]}.json"
        try:
            model = self._artifacts.load(promotion.artifact_uri, promotion.model.sha256)
        except TransientError:
            kept = None if copy is None else _copied(copy, checksum)
            if kept is None:
                raise
            log.warning("model.copied", extra={"asset": f"{promotion.site}/{promotion.device}"})
            return kept
        if copy is not None:
            _write(copy, model.to_bytes(), f"{machine}.*.json")
        return model


def _copied(path: Path, checksum: str) -> Model | None:
    with contextlib.suppress(OSError, ModelError):
        payload = path.read_bytes()
        if sha256(payload) == checksum:
            return Model.from_bytes(payload)
    return None


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
