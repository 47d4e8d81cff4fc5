from __future__ import annotations

import itertools

from asyncpg import Range
from hypothesis import given
from hypothesis import strategies as st

from cloud.storage.seqs import Accounted, multirange, runs

SEQS = st.sets(st.integers(0, 40))


@given(SEQS)
def test_runs_hold_exactly_their_numbers_and_do_not_touch(seqs: set[int]) -> None:
    found = runs(seqs)
    assert {seq for run in found for seq in range(run.low, run.high)} == seqs
    assert all(before.high < after.low for before, after in itertools.pairwise(found))


@given(SEQS)
def test_the_watermark_is_the_number_before_the_first_gap(seqs: set[int]) -> None:
    accounted = Accounted(Range(run.low, run.high) for run in runs(seqs))
    assert all((seq in accounted) == (seq in seqs) for seq in range(42))
    assert accounted.through == next(seq for seq in range(42) if seq not in seqs) - 1


def test_a_multirange_is_written_as_postgresql_reads_it() -> None:
    assert multirange([5, 3, 4, 9], below=2) == "{[0,2),[3,6),[9,10)}"
    assert multirange([]) == "{}"
