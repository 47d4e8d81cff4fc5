"""The ledger against a count of our own: whatever is sent, lost, refused, repeated and sent again, it says the same."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.storage.database import Database
from cloud.storage.quarantine import Quarantine, Wanted
from cloud.storage.readings import ReadingStore
from contract.events import ReadingRejectedEvent, ValidatedDataEvent
from tests.support.readings import SITE, START_MS, block, rejected

_BOOTS = ("00000000000000aa", "00000000000000bb", "00000000000000cc")


class Sent(NamedTuple):
    """A message that passed the validation, with what the device says it still holds."""

    boot: str
    seqs: list[int]
    oldest: int | None
    late_ms: int


class Refused(NamedTuple):
    """A reading that did not; `number` tells its payloads apart."""

    boot: str
    seq: int
    number: int


class Loose(NamedTuple):
    """A message in which no reading can be told apart."""


class Archive(NamedTuple):
    """Somebody makes room in the quarantine."""


class Settle(NamedTuple):
    """What waits was replayed: that without a number is accounted for elsewhere."""


Step = Sent | Refused | Loose | Archive | Settle
_SENT = st.builds(
    Sent,
    st.sampled_from(_BOOTS),
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.none() | st.integers(0, 25),
    st.integers(0, 1),
)
_REFUSED = st.builds(Refused, st.sampled_from(_BOOTS), st.integers(0, 20), st.integers(0, 1))
_OTHER = st.sampled_from([Loose(), Archive(), Settle()])
_STEPS = st.lists(_SENT | _SENT | _REFUSED | _OTHER, min_size=1, max_size=14)
_number = itertools.count()


class Boot:
    """What one boot of a device sent, counted the plain way."""

    def __init__(self) -> None:
        self.stored: set[int] = set()
        self.refused: set[int] = set()
        self.seen = 0
        self.held_from = 0

    def take(self, step: Sent) -> None:
        self.stored |= set(step.seqs)
        self.refused -= set(step.seqs)
        self.seen = max(self.seen, max(step.seqs) + 1)
        # Nobody holds less than what he is just sending.
        self.held_from = max(self.held_from, min(step.oldest or 0, max(step.seqs) + 1))

    def refuse(self, seq: int) -> None:
        self.refused |= {seq} - self.stored
        self.seen = max(self.seen, seq + 1)

    def counts(self) -> dict[str, int]:
        """A number is stored, refused, lost (below what the device holds), or still to come."""
        every = dict.fromkeys(("sent", "stored", "rejected", "pending", "lost"), 0)
        for seq in range(self.seen):
            every["sent"] += 1
            held = "pending" if seq >= self.held_from else "lost"
            every["stored" if seq in self.stored else "rejected" if seq in self.refused else held] += 1
        return every


class Model:
    """The ledger of one device, independent of the store's."""

    def __init__(self) -> None:
        self.boots: dict[str, Boot] = {}
        self.loose = self.loose_at_hand = 0

    def play(self, step: Step) -> None:
        if isinstance(step, Sent):
            self.boots.setdefault(step.boot, Boot()).take(step)
        elif isinstance(step, Refused):
            self.boots.setdefault(step.boot, Boot()).refuse(step.seq)
        elif isinstance(step, Loose):
            self.loose, self.loose_at_hand = self.loose + 1, self.loose_at_hand + 1
        else:
            # Archived, it stays counted and can be replayed no more.
            self.loose -= self.loose_at_hand if isinstance(step, Settle) else 0
            self.loose_at_hand = 0

    def counts(self) -> dict[str, int | None]:
        each = [boot.counts() for boot in self.boots.values()]
        if not each:
            return {"sent": None, "stored": 0, "rejected": self.loose, "pending": None, "lost": None}
        return {name: sum(counts[name] for counts in each) for name in each[0]}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS, st.integers(1, 4))
async def test_the_ledger_says_what_a_plain_count_says(database: Database, steps: list[Step], together: int) -> None:
    device, model = f"pump-{next(_number)}", Model()
    store, quarantine = ReadingStore(database), Quarantine(database)
    waiting: list[Step] = []
    for at, step in enumerate(steps, start=1):
        waiting.append(step)
        if len(waiting) < together and at < len(steps) and not isinstance(step, Archive | Settle):
            continue
        await _store(store, device, waiting)
        await _tend(quarantine, device, step)
        for done in waiting:
            model.play(done)
        waiting.clear()
        for line in await store.ledger():
            if line.device == device:
                assert {name: getattr(line, name) for name in model.counts()} == model.counts()
                assert line.unnumbered == model.loose


async def _store(store: ReadingStore, device: str, steps: list[Step]) -> None:
    """In one transaction."""
    await store.store(
        [_block(step, device) for step in steps if isinstance(step, Sent)],
        [_refusal(step, device) for step in steps if isinstance(step, Refused | Loose)],
    )


def _block(step: Sent, device: str) -> ValidatedDataEvent:
    times = [START_MS + seq + step.late_ms for seq in step.seqs]
    return block(step.seqs, device=device, boot=step.boot, oldest=step.oldest, measured_at_ms=times)


def _refusal(step: Refused | Loose, device: str) -> ReadingRejectedEvent:
    if isinstance(step, Loose):
        return rejected(None, device=device, payload=b"%d" % next(_number))
    return rejected(step.seq, device=device, boot=step.boot, payload=b"%d" % step.number)


async def _tend(quarantine: Quarantine, device: str, step: Step) -> None:
    if isinstance(step, Archive):
        await quarantine.archive(Wanted(site=SITE, device=device, settled=None), now_ms=START_MS)
    if isinstance(step, Settle):
        for entry in await quarantine.oldest(Wanted(site=SITE, device=device), limit=100):
            if not entry.numbered:
                await quarantine.settle(entry, at_ms=START_MS)
