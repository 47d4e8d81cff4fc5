"""Which of the readings that arrived are new, are repeats, or contradict what is stored: pure decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from contract import telemetry
from contract.errors import Reason
from contract.events import ReadingRejectedEvent, Readings, ValidatedDataEvent
from contract.identity import UNCOUNTED_BOOT, reading_id
from contract.topics import Channel, DeviceTopic

STAGE = "historian"


class DeviceKey(NamedTuple):
    """One device."""

    site: str
    device: str


class BootKey(NamedTuple):
    """One boot of one device; all readings without a counter belong to the boot `uncounted`."""

    site: str
    device: str
    boot: str

    @property
    def counted(self) -> bool:
        """Does the device count its readings?"""
        return self.boot != UNCOUNTED_BOOT

    @property
    def of(self) -> DeviceKey:
        """The device."""
        return DeviceKey(self.site, self.device)


class Content(NamedTuple):
    """What must not change about a reading: `values` in the order of the device's metrics, None: not measured."""

    measured_at_ms: int
    values: tuple[float | None, ...]


class Row(NamedTuple):
    """A reading as a row, in the order of the columns of `readings`."""

    site: str
    device: str
    boot: str
    seq: int
    measured_at_ms: int
    received_at_ms: int
    values: tuple[float | None, ...]
    replayed: bool
    request_id: str | None


Identity = tuple[BootKey, int]


class Sorted(NamedTuple):
    """The rows to insert by boot and `seq`, how many repeats there were, and what contradicts."""

    rows: dict[BootKey, dict[int, Row]]
    repeats: int
    conflicts: list[ReadingRejectedEvent]


def sort(
    events: Sequence[ValidatedDataEvent],
    metrics: Mapping[DeviceKey, Sequence[str]],
    stored: Mapping[Identity, Content],
) -> Sorted:
    """Sort readings; `stored` has what the store holds of them already. The first of an identity is the true one."""
    rows: dict[BootKey, dict[int, Row]] = {}
    conflicts: list[ReadingRejectedEvent] = []
    repeats = 0
    for event in events:
        key = key_of(event)
        names = metrics[key.of]
        taken = rows.setdefault(key, {})
        for at, row in enumerate(_rows(event, names)):
            there = taken.get(row.seq) or stored.get((key, row.seq))
            if there is None:
                taken[row.seq] = row
            elif there.values == row.values and there.measured_at_ms == row.measured_at_ms:
                repeats += 1
            else:
                conflicts.append(_conflict(event, at, _difference(there, row, names)))
    return Sorted(rows, repeats, conflicts)


def key_of(event: Readings) -> BootKey:
    """Whose readings these are."""
    return BootKey(event.site, event.device, event.boot)


def key_of_rejected(event: ReadingRejectedEvent) -> BootKey:
    """Where the refusal is counted: with its boot if it has a number, else with the device's uncounted readings.

    A number may be the very thing that was refused.
    """
    numbered = event.boot and event.seq is not None and 0 <= event.seq <= telemetry.MAX_SEQ
    return BootKey(event.site, event.device, event.boot if event.boot and numbered else UNCOUNTED_BOOT)


def aligned_columns(
    names: Sequence[str], values: Sequence[Sequence[float]], metrics: Sequence[str]
) -> list[Sequence[float] | None]:
    """The columns `names` in the order of `metrics`, None: not measured; not more than the last of them needs."""
    by_name = dict(zip(names, values, strict=True))
    length = max((at + 1 for at, metric in enumerate(metrics) if metric in by_name), default=0)
    return [by_name.get(metric) for metric in metrics[:length]]


def aligned(
    names: Sequence[str], values: Sequence[Sequence[float]], metrics: Sequence[str]
) -> Iterator[tuple[float | None, ...]]:
    """The rows of a block, likewise."""
    columns = aligned_columns(names, values, metrics)
    return (
        zip(*(repeat(None) if column is None else column for column in columns), strict=False)
        if columns
        else repeat(())
    )


def _rows(event: ValidatedDataEvent, metrics: Sequence[str]) -> Iterator[Row]:
    contents = aligned(event.metrics, event.values, metrics)
    for seq, measured_at_ms, values in zip(event.seq, event.measured_at_ms, contents, strict=False):
        yield Row(
            event.site, event.device, event.boot, seq, measured_at_ms,
            event.received_at_ms, values, event.replayed, event.request_id,
        )  # fmt: skip


def _difference(there: Row | Content, row: Row, metrics: Sequence[str]) -> str:
    if there.measured_at_ms != row.measured_at_ms:
        return f"measured at {there.measured_at_ms}, now {row.measured_at_ms}"
    width = max(len(there.values), len(row.values))
    before, now = (each.values + (None,) * (width - len(each.values)) for each in (there, row))
    at = next(i for i in range(width) if before[i] != now[i])
    return f"{metrics[at]} {before[at]}, now {now[at]}"


def _conflict(event: ValidatedDataEvent, at: int, difference: str) -> ReadingRejectedEvent:
    seq = event.seq[at]
    said = {name: column[at] for name, column in zip(event.metrics, event.values, strict=True)}
    return ReadingRejectedEvent(
        site=event.site,
        device=event.device,
        stage=STAGE,
        reason=Reason.IDENTITY_CONFLICT,
        detail=f"{reading_id(event.site, event.device, event.boot, seq)} is already stored with {difference}",
        topic=str(DeviceTopic(event.site, event.device, Channel.TELEMETRY)),
        payload=telemetry.encode(event.boot, [(seq, event.measured_at_ms[at], said)]),
        received_at_ms=event.received_at_ms,
        boot=event.boot,
        seq=seq,
        correlation_id=event.correlation_id_of(at),
        traced=event.traced,
    )
