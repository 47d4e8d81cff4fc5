"""Values that belong together become one reading: a device that writes one topic per value measures all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from edge.gateway.decode import Values
from edge.gateway.rows import Arrival

# A listed metric that never comes is not waited for longer: the first reading tells the cloud which metrics there are.
_LONGEST_WAIT_MS = 60_000


class Gathered(msgspec.Struct):
    """What has come of a device's next reading. `begun`: an earlier one has told which metrics it has."""

    device: str
    since_ms: int
    at_ms: int
    window_ms: int
    wanted: list[str]
    values: dict[str, float]

    def missing(self) -> bool:
        """Is there a listed metric that has not come?"""
        return any(name not in self.values for name in self.wanted)

    def is_due(self, now_ms: int, *, begun: bool) -> bool:
        """Is this the whole reading, as far as can be told?"""
        waited = now_ms - self.since_ms
        if not begun and self.missing() and waited < _LONGEST_WAIT_MS:
            return False
        return waited >= self.window_ms or waited < 0 or (bool(self.wanted) and not self.missing())

    def reading(self) -> Arrival:
        """The reading, for the gateway to count."""
        return Arrival(self.device, None, None, self.at_ms, msgspec.json.encode(self.values))


class Gathering:
    """The unfinished reading of each device. It is kept in the outbox, so a crash takes no value."""

    def __init__(self, begun: Callable[[str], bool], unfinished: Iterable[Gathered] = ()) -> None:
        self._begun = begun
        self._sets = {each.device: each for each in unfinished}

    @property
    def unfinished(self) -> dict[str, Gathered]:
        """By device."""
        return self._sets

    def add(self, said: Values, now_ms: int) -> list[Arrival]:
        """Take values in; returns the readings that are whole by it. A value that comes again begins the next one."""
        at_ms = now_ms if said.at_ms is None else said.at_ms
        done: list[Arrival] = []
        known = self._sets.get(said.device)
        if known is not None and self._is_next(known, said):
            done.append(self._sets.pop(said.device).reading())
            known = None
        if said.source.window_ms == 0 and known is None:
            return [*done, Arrival(said.device, None, None, at_ms, msgspec.json.encode(said.values))]
        if known is None:
            known = Gathered(said.device, now_ms, at_ms, said.source.window_ms, [], {})
            self._sets[said.device] = known
        known.wanted += [name for name in said.source.metrics.values() if name not in known.wanted]
        known.values |= said.values
        known.at_ms = at_ms
        return done

    def due(self, now_ms: int) -> list[Arrival]:
        """The readings whose time is over."""
        ready = [each for each in self._sets.values() if each.is_due(now_ms, begun=self._begun(each.device))]
        for each in ready:
            del self._sets[each.device]
        return [each.reading() for each in ready]

    def _is_next(self, known: Gathered, said: Values) -> bool:
        """Do these values belong to the next reading? Not while the first one is incomplete: then they replace."""
        if known.values.keys().isdisjoint(said.values):
            return False
        return self._begun(known.device) or not known.missing()
