"""Readings that are stored while others of the same boot, sent before them, are not: how long a judgement waits.

A broker that is killed takes with it what it had acknowledged, and the device goes on with newer readings until it
notices and sends the older ones again. Who judged the newer ones at once would have passed the older ones for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# A device sends again ten seconds after the last watermark, and once more after twenty: time for both, and to arrive.
PATIENCE_MS = 60_000


class _Hole(NamedTuple):
    """Nothing is known of the reading after `through`; since when we have waited for it."""

    through: int
    since_ms: float


class Holes:
    """The boots that are waited for. One whose hole stays open is waited for once, since it will not be closed."""

    def __init__(self, clock_ms: Callable[[], float]) -> None:
        self._clock_ms = clock_ms
        self._open: dict[tuple[str, str, str], _Hole] = {}

    def before_first(
        self, site: str, device: str, boots: Sequence[str], seqs: Sequence[int], through: Mapping[str, int]
    ) -> int:
        """How many of these readings may be judged. `through`: the watermarks of the boots that count."""
        for boot, mark in through.items():
            known = self._open.get((site, device, boot))
            if known is not None and known.through != mark:
                del self._open[site, device, boot]
        for row, (boot, seq) in enumerate(zip(boots, seqs, strict=True)):
            if boot in through and seq > through[boot] and self._is_waited_for((site, device, boot), through[boot]):
                return row
        return len(seqs)

    def _is_waited_for(self, boot: tuple[str, str, str], through: int) -> bool:
        now_ms = self._clock_ms()
        hole = self._open.setdefault(boot, _Hole(through, now_ms))
        if hole.since_ms > now_ms:
            # The clock was set back.
            hole = self._open[boot] = _Hole(through, now_ms)
        return now_ms - hole.since_ms < PATIENCE_MS
