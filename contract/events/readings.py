"""What a machine measured, as it goes through the chain, and what was refused of it."""

from __future__ import annotations

from contract.errors import Reason
from contract.events.event import Event
from contract.identity import digest_id, reading_id


class Readings(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A columnar block of one device's readings, all of one boot and with the same metrics; a single one has one row.

    Shapes: `seq` and `measured_at_ms` have n entries; `values` has one column of n finite numbers per entry of
    `metrics`. `oldest` is the lowest seq of this boot that the sender still holds.
    """

    boot: str
    received_at_ms: int
    metrics: list[str]
    seq: list[int]
    measured_at_ms: list[int]
    values: list[list[float]]
    replayed: bool = False
    traced: bool = False
    request_id: str | None = None
    oldest: int | None = None

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def correlation_id(self) -> str:
        """The id that the sender gave to its whole message, else that of the block's last reading."""
        return self.correlation_id_of(len(self.seq) - 1)

    def correlation_id_of(self, row: int) -> str:
        """The id that follows one reading to the e-mail."""
        return self.request_id or reading_id(self.site, self.device, self.boot, self.seq[row])


class SensorReadingIngestedEvent(Readings, frozen=True, kw_only=True, omit_defaults=True):
    """Readings that were decoded and stamped at the door."""


class ValidatedDataEvent(Readings, frozen=True, kw_only=True, omit_defaults=True):
    """Readings that can be true: what is stored and judged."""


class ReadingRejectedEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A reading, or a whole message, that was put into quarantine, with the reason and the original bytes.

    `boot` and `seq` are there when the refused reading could be told apart; the watermark then passes it.
    """

    stage: str
    reason: Reason
    detail: str
    topic: str
    payload: bytes
    received_at_ms: int
    boot: str | None = None
    seq: int | None = None
    correlation_id: str | None = None
    traced: bool = False

    @property
    def id(self) -> str:
        """The same refusal of the same bytes is the same event."""
        return digest_id(self.site, self.device, self.boot, self.seq, self.reason, self.topic, self.payload.hex())
