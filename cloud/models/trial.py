"""A back-test on the store: reads bounded parts of a machine's past, in bounded memory, through both models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from cloud.models.backtest import DAY_MS, Comparison, Replay, compare
from cloud.models.selection import merged
from cloud.models.training import as_arrays, pages
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import Episode, Judgement, VerdictStore
from contract.events import AlarmKind
from detection.model import Model

# What a person remembers and can judge: yesterday. Two models over a day at 1 Hz take some seconds.
LAST_MS = DAY_MS
# Beside it, the alarms that people confirmed are looked at however old they are: the newest twenty, each with half an
# hour before it, in which a detector finds its feet, and a quarter of an hour after it.
CONFIRMED = 20
_BEFORE_MS, _AFTER_MS = 30 * 60_000, 15 * 60_000

Progress = Callable[[int], None]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a back-test found: over `readings` readings between `from_ms` and `through_ms`, `replayed_ms` in all."""

    found: Comparison
    from_ms: int
    through_ms: int
    replayed_ms: int
    readings: int


class _Seen(msgspec.Struct):
    """How much was looked at so far."""

    progress: Progress
    readings: int = 0
    replayed_ms: int = 0
    from_ms: int | None = None


class Backtester:
    """Tries candidates on stored readings."""

    def __init__(self, readings: ReadingStore, verdicts: VerdictStore) -> None:
        self._readings = readings
        self._verdicts = verdicts

    async def try_out(
        self,
        site: str,
        device: str,
        candidate: Model,
        champion: Model | None,
        *,
        from_ms: int | None = None,
        through_ms: int | None = None,
        progress: Progress = lambda _: None,
    ) -> Trial:
        """Over the period given, else over the last day and around the confirmed alarms.

        `progress` is told now and then how many readings were looked at.
        """
        last_ms = await self._last_ms(site, device) if through_ms is None else through_ms
        raised = await self._verdicts.episodes(site, device, 0 if from_ms is None else from_ms, last_ms)
        raised = [episode for episode in raised if episode.kind is AlarmKind.ANOMALY]
        periods = [(from_ms, last_ms)] if from_ms is not None else periods_to_try(raised, last_ms)
        old, new = None if champion is None else Replay(champion), Replay(candidate)
        seen = _Seen(progress)
        for period in periods:
            await self._look(site, device, period, [replay for replay in (old, new) if replay is not None], seen)
        touched = [episode for episode in raised if any(_touches(episode, *period) for period in periods)]
        return Trial(
            found=compare([] if old is None else old.finish(), new.finish(), touched, until_ms=last_ms),
            from_ms=periods[0][0] if seen.from_ms is None else seen.from_ms,
            through_ms=last_ms,
            replayed_ms=seen.replayed_ms,
            readings=seen.readings,
        )

    async def _look(
        self, site: str, device: str, period: tuple[int, int], replays: Sequence[Replay], seen: _Seen
    ) -> None:
        begin_ms, until_ms = None, 0
        async for block in pages(self._readings, site, device, *period):
            times, columns = as_arrays(block)
            for replay in replays:
                await asyncio.to_thread(replay.look, times, columns.T, block.metrics)
            begin_ms, until_ms = int(times[0]) if begin_ms is None else begin_ms, int(times[-1])
            seen.readings += len(block)
            seen.progress(seen.readings)
        for replay in replays:
            replay.skip()
        if begin_ms is not None:
            seen.from_ms = begin_ms if seen.from_ms is None else seen.from_ms
            seen.replayed_ms += until_ms - begin_ms

    async def _last_ms(self, site: str, device: str) -> int:
        newest = await self._readings.readings(site, device, limit=1)
        return newest.measured_at_ms[-1] if len(newest) else 0


def periods_to_try(raised: Sequence[Episode], last_ms: int) -> list[tuple[int, int]]:
    """(from, through), apart and in order: the last day, and the time around the newest confirmed alarms."""
    confirmed = [episode for episode in raised if episode.verdict is Judgement.TRUE][-CONFIRMED:]
    around = [
        (episode.since_ms - _BEFORE_MS, min(_end(episode, last_ms) + _AFTER_MS, last_ms)) for episode in confirmed
    ]
    return merged([(last_ms - LAST_MS, last_ms), *around])


def _touches(episode: Episode, start: int, end: int) -> bool:
    return episode.since_ms <= end and _end(episode, end) >= start


def _end(episode: Episode, last_ms: int) -> int:
    return last_ms if episode.cleared_at_ms is None else episode.cleared_at_ms
