"""Which demo machine falls ill next, and which one gets ready meanwhile: pure choices over what is known of them."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence

import msgspec

from cloud.api.ordering import NaturalKey, natural_key

# A click or two, and one to spare while another learns.
KEPT_READY = 3
# A minute without a fault costs a machine that minute, since its readings cover it, and the way of the next command.
SHOWN_FOR_MS = 62_000
# When to ask again while a machine gets ready, or gets well after its rest.
_READY_WITHIN_S = 10
# A prepared machine sends its past and has its model fitted within seconds; after this it is asked again.
PREPARED_WITHIN_MS = 120_000


class Fault(enum.StrEnum):
    """What can happen to a demo machine; `none` stays well, to show that no mail is sent then."""

    BEARING_WEAR = "bearing_wear"
    IMBALANCE = "imbalance"
    CAVITATION = "cavitation"
    BLOCKED_VALVE = "blocked_valve"
    OVERHEATING = "overheating"
    NONE = "none"


class WhyNone(enum.StrEnum):
    """Why no machine can be used now, for people; `{count}` and `{seconds}` are filled in."""

    GETTING_READY = "no demo machine is rested; another is getting ready, try again in {seconds} s"
    ALL_RESTING = "all {count} demo machines rest after they were used; the first is rested in {seconds} s"
    NO_MACHINES = "there is no demo machine: start Ronda with its emulated machines"


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Until asking again makes sense."""

    why: WhyNone
    seconds: int


class DemoMachine(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one demo machine.

    `judged`: a model is loaded for it. `ill`: an anomaly is active. `used_at_ms`: its last simulated fault or anomaly.
    `shown_at_ms`: when it last lived through a minute without a fault. `asked_at_ms`: when it was last asked to get
    ready.
    """

    site: str
    device: str
    judged: bool
    ill: bool
    used_at_ms: int | None = None
    shown_at_ms: int | None = None
    asked_at_ms: int | None = None


def is_rested(machine: DemoMachine, now_ms: float, cooldown_ms: int) -> bool:
    """Would a fault of this machine be noticed and mailed? Not while it is ill, nor within the mail's cooldown."""
    return machine.judged and not machine.ill and _rested_at_ms(machine, cooldown_ms) <= now_ms


def choose(machines: Iterable[DemoMachine], now_ms: float, cooldown_ms: int) -> DemoMachine | None:
    """The rested machine that rested longest, or None."""
    rested = [machine for machine in machines if is_rested(machine, now_ms, cooldown_ms)]
    return min(rested, key=_longest_rest, default=None)


def to_prepare(machines: Sequence[DemoMachine], now_ms: float, cooldown_ms: int) -> list[DemoMachine]:
    """Those to ask now, so that KEPT_READY are rested: first who never spoke, then who was ill long enough ago."""
    rested = [machine for machine in machines if is_rested(machine, now_ms, cooldown_ms)]
    busy = [machine for machine in machines if machine not in rested and _asked_lately(machine, now_ms)]
    silent = [machine for machine in machines if not machine.judged and machine not in busy]
    worn = [
        machine
        for machine in machines
        if machine.judged and machine.ill and machine not in busy and _rested_at_ms(machine, cooldown_ms) <= now_ms
    ]
    wanted = max(0, KEPT_READY - len(rested) - len(busy))
    return [*sorted(silent, key=_longest_rest), *sorted(worn, key=_longest_rest)][:wanted]


def wait_for_one(machines: Sequence[DemoMachine], now_ms: float, cooldown_ms: int) -> Wait:
    """When asking again makes sense, and what is waited for; to be asked when none is rested."""
    if not machines:
        return Wait(why=WhyNone.NO_MACHINES, seconds=_READY_WITHIN_S)
    if to_prepare(machines, now_ms, cooldown_ms) or any(_asked_lately(machine, now_ms) for machine in machines):
        return Wait(why=WhyNone.GETTING_READY, seconds=_READY_WITHIN_S)
    ends = [
        (_rested_at_ms(machine, cooldown_ms) - now_ms) / 1000 + (_READY_WITHIN_S if machine.ill else 0)
        for machine in machines
    ]
    return Wait(why=WhyNone.ALL_RESTING, seconds=max(1, math.ceil(min(ends))))


def _rested_at_ms(machine: DemoMachine, cooldown_ms: int) -> int:
    """When its last fault may be followed by another mail, and its last minute by another minute."""
    faulted = 0 if machine.used_at_ms is None else machine.used_at_ms + cooldown_ms
    return max(faulted, 0 if machine.shown_at_ms is None else machine.shown_at_ms + SHOWN_FOR_MS)


def _last_use_ms(machine: DemoMachine) -> int:
    return max(machine.used_at_ms or 0, machine.shown_at_ms or 0)


def _asked_lately(machine: DemoMachine, now_ms: float) -> bool:
    if machine.asked_at_ms is None or machine.asked_at_ms < _last_use_ms(machine):
        return False
    return 0 <= now_ms - machine.asked_at_ms < PREPARED_WITHIN_MS


def _longest_rest(machine: DemoMachine) -> tuple[int, NaturalKey]:
    """Longest unused first, then `demo-2` before `demo-10`."""
    return _last_use_ms(machine), natural_key(machine.site, machine.device)
