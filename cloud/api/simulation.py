"""Which demo machine falls ill next, and which one gets ready meanwhile: pure choices over what is known of them."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence

import msgspec

# A click or two, and one to spare while another learns.
KEPT_READY = 3
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


class DemoMachine(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one demo machine.

    `judged`: a model is loaded for it. `ill`: an anomaly is active. `used_at_ms`: its last simulated fault or anomaly.
    `asked_at_ms`: when it was last asked to get ready.
    """

    site: str
    device: str
    judged: bool
    ill: bool
    used_at_ms: int | None = None
    asked_at_ms: int | None = None


def is_rested(machine: DemoMachine, now_ms: float, cooldown_ms: int) -> bool:
    """Would a fault of this machine be noticed and mailed? Not while it is ill, nor within the mail's cooldown."""
    return machine.judged and not machine.ill and not _used_within(machine, now_ms, cooldown_ms)


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
        if machine.judged and machine.ill and machine not in busy and not _used_within(machine, now_ms, cooldown_ms)
    ]
    wanted = max(0, KEPT_READY - len(rested) - len(busy))
    return [*sorted(silent, key=_longest_rest), *sorted(worn, key=_longest_rest)][:wanted]


def retry_after_s(machines: Iterable[DemoMachine], now_ms: float, cooldown_ms: int) -> int:
    """When asking again makes sense: soon when one is getting ready, else when the first cooldown ends."""
    known = list(machines)
    if any(_asked_lately(machine, now_ms) or not machine.judged for machine in known):
        return 10
    ends = [machine.used_at_ms + cooldown_ms for machine in known if machine.used_at_ms is not None]
    return max(10, round((min(ends, default=0) - now_ms) / 1000))


def _used_within(machine: DemoMachine, now_ms: float, cooldown_ms: int) -> bool:
    return machine.used_at_ms is not None and now_ms - machine.used_at_ms < cooldown_ms


def _asked_lately(machine: DemoMachine, now_ms: float) -> bool:
    if machine.asked_at_ms is None or machine.asked_at_ms < (machine.used_at_ms or 0):
        return False
    return now_ms - machine.asked_at_ms < PREPARED_WITHIN_MS


def _longest_rest(machine: DemoMachine) -> tuple[int, str, int, str]:
    """Longest unused first, then `demo-2` before `demo-10`."""
    number = re.search(r"\d+$", machine.device)
    return machine.used_at_ms or 0, machine.site, int(number.group()) if number else 0, machine.device
