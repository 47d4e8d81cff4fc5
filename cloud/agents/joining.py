"""Readings that came one by one and follow each other go on as one block: what follows the door works on columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from contract.events import SensorReadingIngestedEvent as Block

# As many readings as a device may send in one message.
_MOST_ROWS = 1000


def joined(blocks: Iterable[Block]) -> list[Block]:
    """The same readings in at most as many blocks, those of one device in their order.

    Joined are single neighbours of one device, boot and set of metrics that say nothing of themselves alone: none that
    is traced or has its sender's id. A joined block arrived when its first reading did.
    """
    runs: list[list[Block]] = []
    latest: dict[tuple[str, str], list[Block]] = {}
    for block in blocks:
        device = block.site, block.device
        run = latest.get(device)
        if run is not None and _goes_on(run, block):
            run.append(block)
        else:
            latest[device] = run = [block]
            runs.append(run)
    return [run[0] if len(run) == 1 else _one(run) for run in runs]


def _goes_on(run: Sequence[Block], block: Block) -> bool:
    first = run[0]
    return (
        (first.boot, first.metrics, first.replayed, first.oldest)
        == (block.boot, block.metrics, block.replayed, block.oldest)
        and not (first.traced or block.traced)
        and first.request_id is block.request_id is None
        and len(first) == len(block) == 1
        and len(run) < _MOST_ROWS
    )


def _one(run: Sequence[Block]) -> Block:
    return msgspec.structs.replace(
        run[0],
        seq=[block.seq[0] for block in run],
        measured_at_ms=[block.measured_at_ms[0] for block in run],
        values=[[value for (value,) in columns] for columns in zip(*(block.values for block in run), strict=True)],
    )
