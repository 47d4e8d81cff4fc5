"""What the store answers: blocks of readings and what became of them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class Position(msgspec.Struct, frozen=True):
    """A place in one device's readings in the order of their own time; ties are broken by boot and number."""

    measured_at_ms: int
    boot: str = ""
    seq: int = -1


class ReadingBlock(msgspec.Struct, frozen=True, kw_only=True):
    """n readings of one device, oldest first. `values` has one column of n entries per metric, None: not measured."""

    site: str
    device: str
    metrics: list[str]
    boot: list[str]
    seq: list[int]
    measured_at_ms: list[int]
    received_at_ms: list[int]
    values: list[list[float | None]]
    replayed: list[bool]
    request_id: list[str | None]

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def end(self) -> Position | None:
        """Where to read on; None when the block is empty."""
        return Position(self.measured_at_ms[-1], self.boot[-1], self.seq[-1]) if self.seq else None


class ReadingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One stored reading with the values it had."""

    site: str
    device: str
    boot: str
    seq: int
    measured_at_ms: int
    received_at_ms: int
    values: dict[str, float]
    replayed: bool
    request_id: str | None


class TrainingRows(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """n readings of one device by their own time: `measured_at_ms` int64[n], `values` float64[n, m], NaN for none."""

    site: str
    device: str
    metrics: list[str]
    measured_at_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.measured_at_ms.size)


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a device's readings: sent = stored + rejected + pending + lost.

    Counted at the device; `sent`, `pending` and `lost` are None where the device does not count, since what was lost
    before us is unknown. `unnumbered`: refused messages in which no reading could be told apart; not part of the sum.
    """

    site: str
    device: str
    sent: int | None
    stored: int
    rejected: int
    pending: int | None
    lost: int | None
    unnumbered: int


class LastSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A device's newest reading."""

    measured_at_ms: int
    received_at_ms: int


class Learner(msgspec.Struct, frozen=True, kw_only=True):
    """A device that has enough stored readings for its first model: `learn_rows` of them make it."""

    site: str
    device: str
    learn_rows: int
    stored: int


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """A device that has `stored` readings, of which `needed` healthy ones make its next model."""

    site: str
    device: str
    needed: int
    stored: int


def column_block(site: str, device: str, metrics: list[str], rows: list[Any]) -> ReadingBlock:
    """Rows of (boot, seq, measured_at_ms, received_at_ms, values, replayed, request_id) as columns."""
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(7)]
    boot, seq, measured_at_ms, received_at_ms, values, replayed, request_id = columns
    return ReadingBlock(
        site=site,
        device=device,
        metrics=metrics,
        boot=boot,
        seq=seq,
        measured_at_ms=measured_at_ms,
        received_at_ms=received_at_ms,
        values=[[row[at] if at < len(row) else None for row in values] for at in range(len(metrics))],
        replayed=replayed,
        request_id=request_id,
    )


def training_rows(site: str, device: str, metrics: list[str], rows: list[Any]) -> TrainingRows:
    """Rows of (measured_at_ms, values) as arrays."""
    values = np.full((len(rows), len(metrics)), np.nan)
    for at, (_, row) in enumerate(rows):
        values[at, : len(row)] = row
    times = np.array([row[0] for row in rows], dtype=np.int64)
    return TrainingRows(site=site, device=device, metrics=metrics, measured_at_ms=times, values=values)
