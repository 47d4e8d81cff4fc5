"""Readings that are stored while others of the same boot, sent before them, are not: how long a judgement waits.

A broker that is killed takes with it what it had acknowledged, and the device goes on with newer readings until it
notices and sends the older ones again. A gateway that was cut off sends what is measured now beside what it kept. Who
judged the newer ones at once would have passed the older ones for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# A device sends again ten seconds after the last watermark, and once more after twenty: time for both, and to arrive.
PATIENCE_MS = 60_000
# Back-fill that goes on coming is judged in its order, but what happens now is not kept waiting longer: the million
# readings that a gateway holds, at its 2,000 a second, are all there by then.
LONGEST_MS = 600_000


class _Hole(NamedTuple):
    """Nothing is known of the reading after `through`, while `beyond` is stored; both grow while it is being filled.

    Since when we have waited for it to be filled, and since when for it to be filled further.
    """

    through: int
    beyond: int
    since_ms: float
    further_ms: float


class Holes:
    """The boots that are waited for. One whose hole stays open is waited for once, since it will not be closed."""

    def __init__(self, elapsed_ms: Callable[[], float]) -> None:
        self._elapsed_ms = elapsed_ms
        self._open: dict[tuple[str, str, str], _Hole] = {}

    def before_first(
        self, site: str, device: str, boots: Sequence[str], seqs: Sequence[int], through: Mapping[str, int]
    ) -> int:
        """How many of these readings may be judged. `through`: the watermarks of the boots that count."""
        furthest = dict(sorted(zip(boots, seqs, strict=True)))
        for boot, mark in through.items():
            known = self._open.get((site, device, boot))
            if known is not None and mark >= known.beyond:
                del self._open[site, device, boot]
        for row, (boot, seq) in enumerate(zip(boots, seqs, strict=True)):
            behind = boot in through and seq > through[boot]
            if behind and self._is_waited_for((site, device, boot), through[boot], furthest[boot]):
                return row
        return len(seqs)

    def _is_waited_for(self, boot: tuple[str, str, str], through: int, beyond: int) -> bool:
        now_ms = self._elapsed_ms()
        hole = self._open.get(boot, _Hole(through, beyond, now_ms, now_ms))
        if hole.through != through:
            hole = hole._replace(through=through, beyond=max(beyond, hole.beyond), further_ms=now_ms)
        self._open[boot] = hole
        return now_ms - hole.further_ms < PATIENCE_MS and now_ms - hole.since_ms < LONGEST_MS
