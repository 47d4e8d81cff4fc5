"""Whatever arrives, in whatever order, split however, and how often: the store and its ledger end up the same."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from contract.events import ReadingRejectedEvent, ValidatedDataEvent
from tests.support.readings import START_MS, block, rejected

_SEQS = st.integers(0, 12)
_BOOTS = st.sampled_from(["00000000000000aa", "00000000000000bb"])
# Two versions of every reading: which of them is stored depends on the order, how many are stored does not.
_ACCEPTED = st.builds(
    lambda seqs, boot, oldest, late: block(
        seqs, boot=boot, oldest=oldest, measured_at_ms=[START_MS + seq + late for seq in seqs]
    ),
    st.lists(_SEQS, min_size=1, max_size=5),
    _BOOTS,
    st.none() | _SEQS,
    st.integers(0, 1),
)
_REFUSED = st.builds(lambda seq, boot: rejected(seq, boot=boot), _SEQS, _BOOTS)
_Message = ValidatedDataEvent | ReadingRejectedEvent
_Batches = list[list[_Message]]
_Table = list[tuple[Any, ...]]

_BOOTS_NOW = """
SELECT boot, (SELECT sum(upper(run) - lower(run)) FROM unnest(accounted) AS run), stored, rejected, lost
FROM boots WHERE device = :device ORDER BY boot
"""
_STORED = "SELECT boot, seq FROM readings WHERE device = :device ORDER BY boot, seq"
_QUARANTINED = "SELECT boot, seq, count(*) FROM rejected WHERE device = :device GROUP BY boot, seq ORDER BY boot, seq"


@st.composite
def _histories(draw: st.DrawFn) -> tuple[_Batches, _Batches]:
    """The same messages twice: in two orders, cut into different batches, some of them repeated the second time."""
    messages = draw(st.lists(_ACCEPTED | _REFUSED, min_size=1, max_size=6))
    repeated = messages + draw(st.lists(st.sampled_from(messages), max_size=4))
    return _cut(draw, messages), _cut(draw, draw(st.permutations(repeated)))


def _cut(draw: st.DrawFn, messages: list[_Message]) -> _Batches:
    size = draw(st.integers(1, len(messages)))
    return [messages[at : at + size] for at in range(0, len(messages), size)]


# Devices are new for each example, which is cheaper than a new database.
_number = itertools.count()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_histories())
async def test_order_repetition_and_batching_do_not_matter(
    database: Database, histories: tuple[_Batches, _Batches]
) -> None:
    one, other = [await _outcome(database, history, f"pump-{next(_number)}") for history in histories]
    assert one == other
    _add_up(*one)


async def _outcome(database: Database, batches: _Batches, device: str) -> tuple[_Table, _Table, _Table]:
    """Play the history as `device`'s; returns its boots, its stored numbers and its quarantine, as SQL counts them."""
    store = ReadingStore(database)
    stored = 0
    for batch in batches:
        own = [msgspec.structs.replace(message, device=device) for message in batch]
        accepted = [message for message in own if isinstance(message, ValidatedDataEvent)]
        refused = [message for message in own if isinstance(message, ReadingRejectedEvent)]
        stored += (await store.store(accepted, refused)).stored
    tables = [await _table(database, query, device) for query in (_BOOTS_NOW, _STORED, _QUARANTINED)]
    assert stored == len(tables[1])
    return tables[0], tables[1], tables[2]


async def _table(database: Database, query: str, device: str) -> _Table:
    async with database.begin() as connection:
        return [tuple(row) for row in await connection.execute(text(query), {"device": device})]


def _add_up(boots: _Table, seqs: _Table, _: _Table) -> None:
    """Each boot's counts are those of its rows, and everything accounted for is stored, refused or lost."""
    for boot, accounted, stored, refused, lost in boots:
        assert stored == sum(1 for of, _ in seqs if of == boot)
        assert stored + refused + lost == accounted
        assert min(stored, refused, lost) >= 0
