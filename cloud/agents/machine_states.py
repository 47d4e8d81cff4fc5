"""How a machine is, in one event: what it does, how far its model can be trusted, and which sensors cannot be believed.

Said when it changes, and at most once in a few seconds: a machine that is started says so once, not at every reading.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from contract.events import MachineState, MachineStateEvent, Maturity, Readings, Remaining, SensorState

if TYPE_CHECKING:
    from cloud.agents.assets import Asset

Key = tuple[str, str]

# A tile that changes faster than this is read by nobody, and every change is a row and a retained message.
SAY_EVERY_MS = 5_000


def state_of(asset: Asset, at_ms: int) -> MachineStateEvent:
    """How a judged machine is, as of the last reading that was judged."""
    machine, left = asset.machine, asset.machine.remaining
    return MachineStateEvent(
        site=asset.site,
        device=asset.device,
        state=MachineState(machine.running),
        regime=machine.regime,
        maturity=Maturity(machine.maturity),
        sensors={name: SensorState(state) for name, state in machine.detector.sensors.items()},
        remaining=None if left is None else Remaining(**msgspec.structs.asdict(left)),
        measured_at_ms=asset.position.measured_at_ms,
        at_ms=at_ms,
        model=asset.model,
    )


def learning_state(block: Readings, at_ms: int) -> MachineStateEvent:
    """A machine without a model: it is getting to know it."""
    return MachineStateEvent(
        site=block.site,
        device=block.device,
        state=MachineState.LEARNING,
        maturity=Maturity.LEARNING,
        measured_at_ms=block.measured_at_ms[-1],
        at_ms=at_ms,
    )


class Herald:
    """Knows what was said of each machine last, and whether something else is to be said now."""

    def __init__(self, elapsed_ms: Callable[[], float]) -> None:
        self._elapsed_ms = elapsed_ms
        self._said: dict[Key, MachineStateEvent] = {}
        self._said_at_ms: dict[Key, float] = {}

    def is_news(self, state: MachineStateEvent) -> bool:
        """Is this to be said now: something else than the last time, and not too soon after it? Then it is as said."""
        if not self._differs(state) or self.is_waiting(state):
            return False
        key = state.site, state.device
        self._said[key], self._said_at_ms[key] = state, self._elapsed_ms()
        return True

    def is_waiting(self, state: MachineStateEvent) -> bool:
        """Is it to be said, but not yet?"""
        said_at_ms = self._said_at_ms.get((state.site, state.device))
        return said_at_ms is not None and self._differs(state) and self._elapsed_ms() - said_at_ms < SAY_EVERY_MS

    def _differs(self, state: MachineStateEvent) -> bool:
        last = self._said.get((state.site, state.device))
        return last is None or _lasting(state) != _lasting(last)


def _lasting(state: MachineStateEvent) -> MachineStateEvent:
    """Without what changes with every reading."""
    return msgspec.structs.replace(state, measured_at_ms=0, at_ms=0)
