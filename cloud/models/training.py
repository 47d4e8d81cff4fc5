"""Learn a machine's healthy running from its stored readings: the rows are chosen, fitted and registered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from cloud.models.registry import Provenance
from cloud.models.selection import MAX_NUMBERS, MAX_ROWS, healthy, left_out, merged, most_rows
from cloud.storage.model_versions import LeftOut, ModelVersion, ModelVersionStore
from cloud.storage.reading_blocks import Grown, Position, ReadingBlock
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import VerdictStore
from detection.errors import FitError
from detection.fit import Fitted, fit
from detection.rows import Floats, Ints

# Read at once: some megabytes as Python objects, whatever the history's length.
PAGE_ROWS = 10_000
_FOREVER_MS = 2**62


class Registrar(Protocol):
    """Where models are registered; blocking."""

    def register(self, site: str, device: str, fitted: Fitted, provenance: Provenance) -> ModelVersion:
        """The device's next version."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a machine's past to learn from: a period (None: without an end), without what is `marked`.

    At most `rows` healthy readings of it: the first ones where `oldest`, else the latest; and `least` at least.
    """

    from_ms: int | None = None
    through_ms: int | None = None
    marked: tuple[tuple[int, int], ...] = ()
    rows: int = MAX_ROWS
    least: int = 1
    oldest: bool = False


class Lesson(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """n healthy readings: times (n), values (n, k; NaN for none), names (k); and which periods were left out, why."""

    measured_at_ms: Ints
    values: Floats
    metrics: list[str]
    excluded: list[LeftOut]


class School:
    """Fits models on what is stored and registers them; none comes into force by that."""

    def __init__(
        self,
        readings: ReadingStore,
        verdicts: VerdictStore,
        versions: ModelVersionStore,
        registry: Registrar,
        *,
        code_version: str,
        clock_ms: Callable[[], float],
    ) -> None:
        self._readings = readings
        self._verdicts = verdicts
        self._versions = versions
        self._registry = registry
        self._code_version = code_version
        self._clock_ms = clock_ms

    async def teach(self, site: str, device: str, past: Past) -> ModelVersion:
        """A candidate. Raises: FitError when nothing can be learned from these readings."""
        learned_from = await self.lesson(site, device, past)
        fitted = await asyncio.to_thread(fit, learned_from.values, learned_from.measured_at_ms, learned_from.metrics)
        made = Provenance(
            code_version=self._code_version, made_at_ms=int(self._clock_ms()), excluded=learned_from.excluded
        )
        candidate = await asyncio.to_thread(self._registry.register, site, device, fitted, made)
        await self._versions.add(candidate)
        return candidate

    async def lesson(self, site: str, device: str, past: Past) -> Lesson:
        """The healthy readings of this past. Raises: FitError when there are too few."""
        newest = await self._readings.readings(site, device, limit=1)
        past = msgspec.structs.replace(past, rows=min(past.rows, most_rows(len(newest.metrics))))
        excluded = await excluded_periods(self._verdicts, site, device, past)
        kept, count, metrics = [], 0, list[str]()
        async for block in self._blocks(site, device, past, excluded):
            times, values = as_arrays(block)
            mask = healthy(times, excluded)
            kept.append((times[mask], values[mask]))
            count, metrics = count + int(mask.sum()), block.metrics
            if past.oldest and count >= past.rows:
                break
        if count < past.least:
            raise FitError(_too_few(count, past.least, excluded))
        times, values = joined(kept, len(metrics))
        chosen = slice(0, past.rows) if past.oldest else slice(max(count - past.rows, 0), None)
        times = times[chosen]
        touched = [each for each in excluded if each.through_ms >= times[0] and each.from_ms <= times[-1]]
        return Lesson(measured_at_ms=times, values=values[chosen], metrics=metrics, excluded=touched)

    async def _blocks(
        self, site: str, device: str, past: Past, excluded: Sequence[LeftOut]
    ) -> AsyncIterator[ReadingBlock]:
        through_ms = _FOREVER_MS if past.through_ms is None else past.through_ms
        start_ms = 0 if past.from_ms is None else past.from_ms
        if not past.oldest:
            unusable = await rows_in(self._readings, site, device, excluded)
            back = await self._readings.reaching_back(site, device, through_ms, past.rows + unusable)
            start_ms = max(start_ms, back or 0)
        async for block in pages(self._readings, site, device, start_ms, through_ms):
            yield block


async def excluded_periods(verdicts: VerdictStore, site: str, device: str, past: Past) -> list[LeftOut]:
    """What this past leaves out because of alarms and because somebody marked it."""
    from_ms = 0 if past.from_ms is None else past.from_ms
    through_ms = _FOREVER_MS if past.through_ms is None else past.through_ms
    episodes = await verdicts.episodes(site, device, from_ms, through_ms)
    return left_out(episodes, past.marked, through_ms)


async def rows_in(readings: ReadingStore, site: str, device: str, periods: Sequence[LeftOut]) -> int:
    """How many stored readings lie in these periods."""
    return sum(
        [await readings.count_between(site, device, *period) for period in merged(each.span for each in periods)]
    )


async def due_again(readings: ReadingStore, verdicts: VerdictStore) -> list[Grown]:
    """Machines with twice as many healthy readings as their largest model was fitted on, up to a week of them."""
    grown = await readings.devices_that_grew(MAX_ROWS, MAX_NUMBERS)
    return [each for each in grown if await _healthy_rows(readings, verdicts, each) >= each.needed]


async def _healthy_rows(readings: ReadingStore, verdicts: VerdictStore, grown: Grown) -> int:
    excluded = await excluded_periods(verdicts, grown.site, grown.device, Past())
    return grown.stored - await rows_in(readings, grown.site, grown.device, excluded)


async def pages(
    readings: ReadingStore, site: str, device: str, from_ms: int, through_ms: int
) -> AsyncIterator[ReadingBlock]:
    """The readings of a period in the order of their own time, page by page."""
    place = Position(from_ms)
    while True:
        block = await readings.rows_after(site, device, place, limit=PAGE_ROWS, to_ms=through_ms)
        if block.end is None:
            return
        yield block
        place = block.end


def as_arrays(block: ReadingBlock) -> tuple[Ints, Floats]:
    """A block's times (n) and values (n, k), NaN where nothing was measured."""
    columns = np.asarray(block.values, dtype=np.float64).reshape(len(block.metrics), len(block))
    return np.asarray(block.measured_at_ms, dtype=np.int64), columns.T


def joined(parts: Sequence[tuple[Ints, Floats]], channels: int) -> tuple[Ints, Floats]:
    """Parts of (times, values) one after the other; a metric that came later has no values before."""
    wide = [np.pad(v, ((0, 0), (0, channels - v.shape[1])), constant_values=np.nan) for _, v in parts]
    return np.concatenate([times for times, _ in parts]), np.concatenate(wide)


def _too_few(count: int, least: int, excluded: Sequence[LeftOut]) -> str:
    if not excluded:
        return f"there are {count:,} readings in this period, {least:,} are needed"
    return (
        f"of this period {count:,} healthy readings are left, {least:,} are needed: {len(excluded)} alarms or marked "
        "periods are left out of it; judge the alarms with `ronda verdict`, or choose another period"
    )
