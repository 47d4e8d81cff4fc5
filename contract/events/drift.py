"""A machine's healthy readings no longer look like those that its model learned."""

from __future__ import annotations

import msgspec

from contract.events.event import Event
from contract.events.models import ModelRef
from contract.identity import digest_id


class ChannelDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How far one channel's readings are from those that the model learned.

    `psi`: population stability index over tenths; `ks`: the two-sample Kolmogorov-Smirnov distance with its `p_value`.
    """

    name: str
    psi: float
    ks: float
    p_value: float
    drifted: bool


class InputDriftedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The healthy readings of a stretch of time no longer look like those that the model learned."""

    channels: list[ChannelDrift]
    from_ms: int
    through_ms: int
    readings: int
    model: ModelRef

    @property
    def id(self) -> str:
        """One per model and stretch of time."""
        return digest_id(self.site, self.device, self.model.sha256, self.from_ms, self.through_ms)
