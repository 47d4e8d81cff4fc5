"""Many faults on one plant, one after the other, in an order that a seed decides; and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.faults.account import Alarms, Beyond, Count, Mails
from tests.faults.fault import Fault, Hit
from tests.faults.field import Broker, Field, until_true
from tests.faults.gear import obstacles
from tests.faults.kills import KILLS
from tests.faults.network import NETWORK
from tests.faults.registry import REGISTRY
from tests.faults.sites import SITES
from tests.faults.stores import STORES
from tests.faults.surroundings import SURROUNDINGS
from tests.faults.weather import WEATHER
from tests.faults.whole import WHOLE

FAULTS: tuple[Fault, ...] = (*KILLS, *NETWORK, *STORES, *SURROUNDINGS, *SITES, *REGISTRY, *WEATHER)
# How long the senders work undisturbed before each.
_CALM_S = (0.1, 0.8)
# A fault waits for so long for something to hit: the store may be level with the senders for a moment.
_BUSY_WITHIN_S = 1.0
# An alarm that a broker lost is told from the store after half a minute, and the look for it comes every ten seconds.
_SETTLED_WITHIN_S = 60.0
_LOOK_S = 3.0


class Run(NamedTuple):
    """One fault and what became of the readings of its time."""

    fault: Fault
    hit: Hit
    tally: Count
    recovery_s: float
    complaint: str = ""
    # The machine's row at which it struck.
    row: int = 0


class Result(NamedTuple):
    """A whole campaign."""

    runs: list[Run]
    whole: Count
    alarms: Alarms
    mails: Mails
    ledger: dict[str, dict[str, int]]
    seconds: float
    stumbles: int = 0
    beyond: Beyond = Beyond()
    # What HTTP clients were answered, by status; 0: nothing.
    answers: Mapping[int, int] = {}

    def plus(self, other: Result) -> Result:
        """Both, of which the other one had no machine with a model."""
        return self._replace(
            runs=[*self.runs, *other.runs],
            whole=self.whole.plus(other.whole),
            ledger=self.ledger | {f"`ronda up` {device}": row for device, row in other.ledger.items()},
            seconds=self.seconds + other.seconds,
            stumbles=self.stumbles + other.stumbles,
            answers=Counter(self.answers) + Counter(other.answers),
        )

    @property
    def complaints(self) -> list[str]:
        """Everything that Ronda promised and did not keep."""
        found = [f"{run.fault.kind}: {run.complaint}" for run in self.runs if run.complaint]
        found += [
            f"{run.fault.kind}: {run.tally.lost} lost, {run.tally.doubled} doubled"
            for run in self.runs
            if run.tally.lost or run.tally.doubled
        ]
        if self.whole.lost or self.whole.doubled:
            found.append(f"{self.whole.lost} lost, {self.whole.doubled} doubled")
        if self.beyond.missing and not self.beyond.excused:
            found.append(f"{self.beyond.missing} that the site's broker had acknowledged never came")
        if self.stumbles:
            found.append(f"{self.stumbles} times an agent put aside what nothing was wrong with")
        return found + self._alarm_complaints + self._mail_complaints + self.ledger_complaints

    @property
    def _alarm_complaints(self) -> list[str]:
        wrong = {"missed": self.alarms.missed, "doubled": self.alarms.doubled, "false": self.alarms.false}
        return [f"alarms {which}: {self._during(rows)}" for which, rows in wrong.items() if rows]

    def _during(self, rows: Sequence[int]) -> str:
        """Which fault was on when the machine had come there."""
        faults = [next((run.fault.kind for run in reversed(self.runs) if run.row <= row), "none") for row in rows]
        return ", ".join(f"row {row} ({fault})" for row, fault in zip(rows, faults, strict=True))

    @property
    def _mail_complaints(self) -> list[str]:
        mails = self.mails
        wrong = {"none": mails.missed, "several": mails.several}
        found = [f"{which} instead of one mail: {self._during(rows)}" for which, rows in wrong.items() if rows]
        if mails.unrecorded:
            found.append(f"mails went out that nobody remembers: {mails.unrecorded}")
        again = sum(mails.doubled.values()) - len(mails.doubled)
        if again > self.excused_mails:
            found.append(f"{again} mails came again, their sender died {self.excused_mails} times")
        return found

    @property
    def excused_mails(self) -> int:
        """How often the sender of mails may have died between the server's 250 and its own commit."""
        return sum(_may_repeat_mail(run.fault) for run in self.runs)

    @property
    def ledger_complaints(self) -> list[str]:
        found = []
        for device, row in self.ledger.items():
            # Of whom does not count, what was sent, lost or is under way is unknown.
            counts = row["sent"] is not None
            if counts and (row["sent"] != row["stored"] + row["rejected"] or row["lost"] or row["pending"]):
                found.append(f"the ledger of {device} does not add up: {row}")
        accounted = sum(row["stored"] + row["rejected"] for row in self.ledger.values())
        if accounted != self.whole.readings:
            found.append(f"the ledger says {accounted} stored or refused, the senders made {self.whole.readings}")
        return found


def chosen(faults: int, broker: Broker, seed: int, only: Sequence[str] = ()) -> list[Fault]:
    """Which faults in which order: every kind before any comes again, those that take a minute once at most."""
    fits = [fault for fault in FAULTS if broker in fault.brokers and fault.needs not in obstacles()]
    return _drawn([fault for fault in fits if not only or any(word in fault.kind for word in only)], faults, seed)


def chosen_for_whole(faults: int, seed: int) -> list[Fault]:
    """The same for `ronda up`."""
    return _drawn(WHOLE, faults, seed)


def _drawn(fits: Sequence[Fault], faults: int, seed: int) -> list[Fault]:
    rng, order = random.Random(seed), list[Fault]()
    while len(order) < faults and fits:
        order += rng.sample(fits, len(fits))
        fits = [fault for fault in fits if not fault.seldom]
    return order[:faults]


async def campaign(plant: Field, faults: Sequence[Fault], tell: Callable[[str], None]) -> Result:
    """Strike, wait until all is well, count; then count everything."""
    began = time.monotonic()
    runs = []
    for number, fault in enumerate(faults, 1):
        runs.append(await _run(plant, fault))
        tell(_line(number, runs[-1]))
    await plant.alarmed(60.0)
    await plant.drain()
    found, told = await _settled(plant)
    return Result(
        runs=runs,
        whole=await plant.whole(),
        alarms=found,
        mails=told,
        ledger=await plant.ledger(),
        seconds=time.monotonic() - began,
        stumbles=await plant.stumbles(),
        beyond=await plant.beyond(),
        answers=plant.answers,
    )


async def _settled(plant: Field) -> tuple[Alarms, Mails]:
    """What became of the alarms, once nothing is missing, or would come any more."""
    end = time.monotonic() + _SETTLED_WITHIN_S
    while True:
        await asyncio.sleep(_LOOK_S)
        found, told = await plant.alarms()
        if time.monotonic() > end or not (found.missed or told.missed):
            return found, told


async def _run(plant: Field, fault: Fault) -> Run:
    await asyncio.sleep(plant.rng.uniform(*_CALM_S))
    with contextlib.suppress(TimeoutError):
        await until_true(plant.busy, "readings are under way", _BUSY_WITHIN_S)
    hit, complaint, recovery_s, row = Hit(plant.under_way, ""), "", 0.0, plant.rows
    try:
        hit = await fault.strike(plant)
        waits = [plant.recovered(fault.within_s)]
        if fault.alarms:
            waits.append(plant.alarmed(fault.within_s))
        recovery_s = max(await asyncio.gather(*waits))
    except (AssertionError, TimeoutError) as error:
        complaint = str(error) or f"{type(error).__name__} while it was done to the plant"
    return Run(fault, hit, await plant.count(), recovery_s, complaint, row)


def _may_repeat_mail(fault: Fault) -> bool:
    return fault.kind.startswith("notification") or fault.kind == "everything killed at once"


def _line(number: int, run: Run) -> str:
    tally = run.tally
    return (
        f"{number:4} {run.fault.kind:<62} under way {run.hit.under_way:5}  recovered {run.recovery_s:5.1f} s  "
        f"readings {tally.readings:6} lost {tally.lost} doubled {tally.doubled} refused {tally.refused}  "
        f"[{run.hit.what}]{'  ' + run.complaint if run.complaint else ''}"
    )
