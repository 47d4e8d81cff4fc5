"""What a fault is: something done to the plant, and what it hit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tests.faults.field import Broker
from tests.faults.gear import Gear

BOTH: tuple[Broker, ...] = ("embedded", "mosquitto")


class Hit(NamedTuple):
    """`under_way`: readings that were sent and not known to be stored at that moment; `what`: more of it in words.

    `in_hand`: whatever of them there was, the process itself was in the middle of work.
    """

    under_way: int
    what: str
    in_hand: bool = False

    @property
    def struck(self) -> bool:
        """Did it hit work in flight?"""
        return self.in_hand or self.under_way > 0


class Fault(NamedTuple):
    """One kind. `strike` does it and undoes it; what is left then must mend itself within `within_s`.

    `alarms`: it is over only when an alarm that was raised after it was mailed. `seldom`: for the long run only, since
    it takes a minute. `needs`: what not every machine can give.
    """

    kind: str
    strike: Callable[[Any], Awaitable[Hit]]
    within_s: float = 60.0
    alarms: bool = False
    seldom: bool = False
    needs: Gear | None = None
    brokers: tuple[Broker, ...] = BOTH
