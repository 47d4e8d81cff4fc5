"""Readings that came one by one and follow each other go on as one block: what follows the door works on columns."""

from __future__ import annotations

from contract.columns import Columns
from contract.events import SensorReadingIngestedEvent as Block

# As many readings as a device may send in one message.
_MOST_ROWS = 1000


class Joining:
    """The blocks of one batch of messages, those of one device in their order.

    Joined are single neighbours of one device, boot and set of metrics that say nothing of themselves alone: none that
    is traced. A joined block arrived when its first reading did.
    """

    def __init__(self) -> None:
        self._blocks: list[Block | _Run] = []
        self._latest: dict[tuple[str, str], _Run | None] = {}

    def add(self, site: str, device: str, columns: Columns, at_ms: int) -> None:
        """Readings that arrived at `at_ms` (UTC epoch ms), joined to those before them where that can be."""
        run = self._latest.get((site, device))
        if run is not None and run.goes_on(columns):
            run.append(columns)
        else:
            self._latest[site, device] = run = _Run(site, device, columns, at_ms)
            self._blocks.append(run)

    def add_whole(self, block: Block) -> None:
        """A block that stays as it is."""
        self._latest[block.site, block.device] = None
        self._blocks.append(block)

    def blocks(self) -> list[Block]:
        """All that was added."""
        return [each.block() if isinstance(each, _Run) else each for each in self._blocks]


class _Run:
    """A block that may grow."""

    def __init__(self, site: str, device: str, columns: Columns, at_ms: int) -> None:
        self._site, self._device, self._first, self._at_ms = site, device, columns, at_ms
        self._seq, self._measured_at_ms, self._rows = columns.seq, columns.measured_at_ms, columns.rows
        # What must be the same in all of it.
        self._alike = (columns.boot, columns.metrics, columns.replayed, columns.oldest)
        self._grows = len(columns.seq) == 1 and not columns.traced

    def goes_on(self, columns: Columns) -> bool:
        """Are these the next of its readings?"""
        return (
            self._grows
            and len(columns.seq) == 1
            and (columns.boot, columns.metrics, columns.replayed, columns.oldest) == self._alike
            and not columns.traced
            and len(self._seq) < _MOST_ROWS
        )

    def append(self, columns: Columns) -> None:
        """Take one more reading."""
        self._seq += columns.seq
        self._measured_at_ms += columns.measured_at_ms
        self._rows += columns.rows

    def block(self) -> Block:
        """All of it in columns."""
        first = self._first
        return Block(
            site=self._site,
            device=self._device,
            boot=first.boot,
            received_at_ms=self._at_ms,
            metrics=list(first.metrics),
            seq=self._seq,
            measured_at_ms=self._measured_at_ms,
            values=[list(column) for column in zip(*self._rows, strict=True)],
            replayed=first.replayed,
            traced=first.traced,
            oldest=first.oldest,
        )
