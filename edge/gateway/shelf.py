"""The last promoted model of each machine, kept on disk with its announcement for the time when the cloud is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from contract.codec import decode_events
from contract.errors import ContractError, RondaError, TransientError
from contract.events import ModelPromotedEvent, ModelRole
from detection.errors import ModelError
from detection.model import Model, sha256
from edge.gateway.errors import GatewayError

log = logging.getLogger("ronda.edge.gateway")

# What could not be fetched is asked for again this often.
_AGAIN_S = 30.0


class Kept(msgspec.Struct, frozen=True):
    """A model's announcement and its bytes: one file a device, so that they cannot disagree."""

    promotion: ModelPromotedEvent
    payload: bytes

    def model(self) -> Model:
        """The model. Raises: ModelError."""
        return Model.from_bytes(self.payload)


class Shelf:
    """The files. Bytes that do not have the promoted checksum are never kept, nor believed when they are read."""

    def __init__(self, folder: Path, site: str, fetch: Callable[[str], bytes]) -> None:
        self._folder, self._site, self._fetch = folder, site, fetch
        self._have: dict[str, tuple[str, int]] = {}
        self._wanted: dict[str, ModelPromotedEvent] = {}
        self._changed = asyncio.Event()

    def open(self) -> None:
        """Look at what is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("*.model"):
            if (kept := self._read(path)) is not None:
                self._have[kept.promotion.device] = _mark(kept.promotion)

    def __len__(self) -> int:
        return len(self._have)

    def announced(self, payload: bytes) -> None:
        """A model was promoted; it is fetched soon, in place of an earlier one. A challenger judges nothing here."""
        try:
            (promotion,) = decode_events(ModelPromotedEvent, payload)
        except ContractError as error:
            log.warning("promotion.unreadable", extra={"detail": error.detail})
            return
        if promotion.site != self._site or promotion.role is not ModelRole.CHAMPION:
            return
        known = self._wanted.get(promotion.device)
        newest_ms = max(self._have.get(promotion.device, ("", -1))[1], known.promoted_at_ms if known else -1)
        if promotion.promoted_at_ms > newest_ms:
            self._wanted[promotion.device] = promotion
            self._changed.set()

    async def run(self) -> None:
        """Fetch what was announced, until cancelled."""
        while True:
            self._changed.clear()
            for promotion in list(self._wanted.values()):
                await self._take_up(promotion)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S if self._wanted else None):
                    await self._changed.wait()

    def find(self, device: str) -> Kept | None:
        """The last model of this device that was fetched whole."""
        return self._read(self._path(device)) if device in self._have else None

    async def _take_up(self, promotion: ModelPromotedEvent) -> None:
        fields = {"device": promotion.device, "version": promotion.model.version}
        try:
            await asyncio.to_thread(self._keep, promotion)
        except TransientError as error:
            log.warning("model.away", extra={**fields, "why": str(error)})
            return
        except (RondaError, OSError) as error:
            log.warning("model.refused", extra={**fields, "why": str(error)})
        else:
            self._have[promotion.device] = _mark(promotion)
            log.info("model.kept", extra=fields)
        if self._wanted.get(promotion.device) is promotion:
            del self._wanted[promotion.device]

    def _keep(self, promotion: ModelPromotedEvent) -> None:
        payload = self._fetch(promotion.artifact_uri)
        if sha256(payload) != promotion.model.sha256:
            raise GatewayError(f"the model at {promotion.artifact_uri} is not the one that was promoted")
        Model.from_bytes(payload)
        path = self._path(promotion.device)
        half = path.with_suffix(".half")
        half.write_bytes(msgspec.msgpack.encode(Kept(promotion, payload)))
        half.replace(path)

    def _read(self, path: Path) -> Kept | None:
        """Whole and unchanged, or not at all."""
        try:
            kept = msgspec.msgpack.decode(path.read_bytes(), type=Kept)
            if sha256(kept.payload) == kept.promotion.model.sha256:
                kept.model()
                return kept
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, ModelError) as error:
            log.warning("model.unusable", extra={"path": str(path), "why": str(error)})
        return None

    def _path(self, device: str) -> Path:
        return self._folder / f"{device}.model"


def _mark(promotion: ModelPromotedEvent) -> tuple[str, int]:
    return promotion.model.sha256, promotion.promoted_at_ms
