"""Which model judges a machine, and which was refused."""

from __future__ import annotations

import enum

import msgspec

from contract.events.event import Event
from contract.identity import digest_id


class ModelRef(msgspec.Struct, frozen=True, kw_only=True):
    """Which model judged: its registered name and version, the MLflow run and the checksum of its bytes."""

    name: str
    version: str
    run_id: str
    sha256: str


class ModelRole(enum.StrEnum):
    """What a model is there for: the champion's alarms are raised, the challenger's are only counted."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class ModelPromotedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The device has a new champion, or a challenger: which, where its bytes are, and what they must hash to.

    `trained_through_ms`: the last reading it was fitted on; later readings are scored with it. A challenger without an
    `artifact_uri` says that there is none any more.
    """

    model: ModelRef
    artifact_uri: str
    data_hash: str
    trained_through_ms: int
    promoted_at_ms: int
    role: ModelRole = ModelRole.CHAMPION


class ModelRefusedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A promoted model was not taken into use, because of `why`; the one `in_use` goes on.

    They are the same where what is kept of the model is not what was promoted, and our own copy of it goes on.
    """

    model: ModelRef
    in_use: ModelRef | None = None
    why: str
    at_ms: int

    @property
    def id(self) -> str:
        """The same bytes refused for the same reason are the same refusal."""
        return digest_id(self.site, self.device, self.model.version, self.model.sha256, self.why)
