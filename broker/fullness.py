"""How full the bounded queues between two stages are, and when that is too much to take more in.

A queue that fills says so long before it is full, so that whoever can wait waits outside, and what is left of the
bound belongs to those who cannot. It is behind until it has emptied well below that, lest the answer flutter.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec

# That wait for one service, unless an administrator says otherwise: an hour of 250 readings/s, each in a message of its
# own. On the embedded broker's disk, and in Mosquitto's memory, at 150 bytes each.
MAX_MESSAGES = 1_000_000
# A quarter of the bound is left for devices, which only feel slower acknowledgements: at 250 readings/s each in a
# message of its own, a quarter of an hour of a service's queue. As much is worked off before more is asked for.
HIGH, LOW = 0.75, 0.5


class Fill(msgspec.Struct, frozen=True):
    """One bounded queue at one moment; `name` says whose, `unit` what is counted in it."""

    name: str
    used: int
    bound: int
    unit: str

    @property
    def share(self) -> float:
        """Of the bound: 0 to 1, or a little more, since a last message may go beyond it."""
        return self.used / self.bound

    def __str__(self) -> str:
        return f"{self.name}: {self.used:,} of {self.bound:,} {self.unit}"


class Standing(enum.StrEnum):
    """How a queue stands, by what it was and is."""

    ROOM = "room"
    BEHIND = "behind"
    # It was behind, and is not yet below the low mark.
    DRAINING = "draining"


def standing(before: Standing, share: float) -> Standing:
    """How a queue stands that stood as `before` and is full to this share of its bound."""
    if share >= HIGH:
        return Standing.BEHIND
    if before is not Standing.ROOM and share > LOW:
        return Standing.DRAINING
    return Standing.ROOM


class Fullness:
    """All queues that one process can see, as they were at the last look."""

    def __init__(self) -> None:
        self.fills: Mapping[str, Fill] = {}
        self._standing: Mapping[str, Standing] = {}

    @property
    def behind(self) -> list[str]:
        """Those with no room for who can wait: which, how many there are in it, and how many there may be."""
        return [str(fill) for key, fill in self.fills.items() if self._standing[key] is not Standing.ROOM]

    def look(self, fills: Iterable[Fill]) -> None:
        """Judge them anew; one that is not named any more is forgotten."""
        self.fills = {f"{fill.name}, {fill.unit}": fill for fill in fills}
        before = self._standing
        self._standing = {key: standing(before.get(key, Standing.ROOM), fill.share) for key, fill in self.fills.items()}
