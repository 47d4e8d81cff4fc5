"""The bounded queues of this process: looked at once a second, told to Prometheus, and logged when one falls behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.fullness import Fill, Fullness

log = logging.getLogger("ronda.queues")

# In a second the fastest sender brings a hundredth of a queue's bound.
_LOOK_S = 1.0


@contextlib.asynccontextmanager
async def looked_after(
    fullness: Fullness, fills: Callable[[], Sequence[Fill]], *, every_s: float = _LOOK_S
) -> AsyncIterator[None]:
    """Keep `fullness` as `fills` says while the block runs."""

    async def repeat() -> None:
        while True:
            look(fullness, fills())
            await asyncio.sleep(every_s)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def look(fullness: Fullness, fills: Sequence[Fill]) -> None:
    """Judge them once; only a change is news."""
    before = fullness.behind
    fullness.look(fills)
    if bool(fullness.behind) is not bool(before):
        log.warning("queues.behind" if fullness.behind else "queues.caught_up", extra={"queues": fullness.behind})


class FullnessCollector(Collector):
    """Each queue's share of its bound, and whether it is behind."""

    def __init__(self, fullness: Fullness) -> None:
        self._fullness = fullness

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the queues are known once the broker runs."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """As of the last look."""
        shares = GaugeMetricFamily("ronda_queue_fill_ratio", "Share of its bound", labels=["queue", "unit"])
        for fill in self._fullness.fills.values():
            shares.add_metric([fill.name, fill.unit], fill.share)
        yield shares
        yield GaugeMetricFamily("ronda_queues_behind", "Queues too full for who can wait", len(self._fullness.behind))
