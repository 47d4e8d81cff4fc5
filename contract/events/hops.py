"""Where a traced message was, and when."""

from __future__ import annotations

import msgspec

from contract.events.event import Event
from contract.identity import digest_id


class HopEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A traced message passed a station: when, how many readings, and what was done, as a code with parameters."""

    correlation_id: str
    station: str
    at_ms: float
    readings: int
    did: str
    detail: dict[str, str | float | int] = msgspec.field(default_factory=dict)

    @property
    def id(self) -> str:
        """One per message, station, deed and time."""
        return digest_id(self.correlation_id, self.station, self.did, str(self.at_ms))
