"""The outbox by itself: what it counts, gives up and tells; a full disk leaves its memory as the file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.events import Watermark
from edge.gateway.bounds import Bounds
from edge.gateway.errors import GatewayError, OutboxError
from edge.gateway.mapping import Limits
from edge.gateway.outbox import Outbox
from edge.gateway.pacing import Turn
from edge.gateway.rows import Arrival, Batch

BOOT, OTHER, OWN = "9f2c41d07be3a655", "0f2c41d07be3a655", "aaaaaaaaaaaaaaaa"
MINUTE_MS = 60_000


class Clock:
    ms = 1_000_000

    def now(self) -> int:
        return self.ms


def opened(folder: Path, clock: Clock | None = None, boot: str = OWN, **limits: float) -> Outbox:
    outbox = Outbox(folder / "o.sqlite", Bounds(Limits(**limits)), lambda: boot, (clock or Clock()).now)
    outbox.open()
    return outbox


def said(seq: int, *, boot: str | None = BOOT, body: bytes = b'{"x":1}', oldest: int | None = None) -> Arrival:
    return Arrival("pump", boot, None if boot is None else seq, 1000 * seq, body, oldest=oldest)


def fill(outbox: Outbox) -> None:
    for _ in range(100):
        outbox.keep([said(n, boot=None, body=b"x" * 200) for n in range(100)])


def next_batch(outbox: Outbox) -> Batch | None:
    (batch,) = outbox.take([Turn("pump", 0, 10**9, 50, live=True)])
    return batch


def numbers(outbox: Outbox) -> list[int]:
    batch = next_batch(outbox)
    return [] if batch is None else [row.seq for row in batch.rows]


def free(outbox: Outbox, through: int, boot: str = BOOT) -> None:
    outbox.free([("pump", Watermark(boot=boot, through=through))])


def test_who_cannot_count_is_counted_and_a_restart_goes_on(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(0, boot=None), said(1, boot=None)])
    free(outbox, 1, OWN)
    outbox.close()
    again = opened(tmp_path, boot="b" * 16)
    again.keep([said(2, boot=None)])
    assert numbers(again) == [2]
    assert again.own_boot == OWN


def test_what_comes_twice_is_kept_once_and_a_contradiction_is_counted(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(0), said(0), said(0, body=b'{"x":2}')])
    totals = outbox.counts.totals
    assert numbers(outbox) == [0]
    assert (totals["kept"], totals["repeated"], totals["contradicted"]) == (1, 1, 1)


def test_what_is_stored_already_is_answered_with_the_watermark(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(0), said(1)])
    free(outbox, 1)
    kept = outbox.keep([said(1), said(2)])
    assert kept.again == {"pump": Watermark(boot=BOOT, through=1)}
    assert numbers(outbox) == [2]


def test_a_watermark_that_went_back_is_believed_since_the_store_was_restored(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(0), said(1)])
    free(outbox, 1)
    free(outbox, -1)
    outbox.keep([said(0), said(1)])
    assert numbers(outbox) == [0, 1]


def test_a_message_has_one_boot(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(0), said(1), said(0, boot=OTHER)])
    assert numbers(outbox) == [0, 1]


def test_what_was_given_up_of_a_device_that_the_gateway_counts_is_gone(tmp_path):
    outbox = opened(tmp_path, rows=10)
    outbox.keep([said(n, boot=None) for n in range(15)])
    batch = next_batch(outbox)
    assert batch is not None
    assert (batch.oldest, [row.seq for row in batch.rows]) == (5, list(range(5, 15)))
    assert outbox.bounds.drops(outbox.boots) == [("pump", "rows", 5)]


def test_what_was_given_up_of_a_device_that_holds_it_is_not_gone_until_it_is_silent(tmp_path):
    clock = Clock()
    outbox = opened(tmp_path, clock, rows=10)
    outbox.keep([said(n) for n in range(15)])
    batch = next_batch(outbox)
    assert batch is not None
    assert batch.oldest is None
    clock.ms += 11 * MINUTE_MS
    batch = next_batch(outbox)
    assert batch is not None
    assert batch.oldest == 5


def test_a_device_that_has_begun_anew_holds_nothing_of_before(tmp_path):
    outbox = opened(tmp_path, rows=10)
    outbox.keep([said(n) for n in range(12)])
    outbox.keep([said(0, boot=OTHER)])
    batch = next_batch(outbox)
    assert batch is not None
    assert batch.oldest == batch.rows[0].seq == 3


def test_what_the_device_gave_up_is_told_only_as_far_as_it_is_not_held_here(tmp_path):
    outbox = opened(tmp_path)
    outbox.keep([said(5), said(6)])
    outbox.keep([said(20, oldest=20)])
    batch = next_batch(outbox)
    assert batch is not None
    assert batch.oldest == 5
    free(outbox, 6)
    batch = next_batch(outbox)
    assert batch is not None
    assert batch.oldest == 20


@pytest.mark.parametrize(("limits", "reason"), [({"megabytes": 0.01}, "bytes"), ({"age_h": 1 / 60}, "age")])
def test_bytes_and_age_are_bounded_too(tmp_path, limits, reason):
    clock = Clock()
    outbox = opened(tmp_path, clock, **limits)
    outbox.keep([said(n) for n in range(200)])
    clock.ms += 2 * MINUTE_MS
    outbox.keep([said(200)])
    assert {why for _, why, _ in outbox.bounds.drops(outbox.boots)} == {reason}
    assert outbox.bounds.rows < 200
    held = outbox.bounds.rows, outbox.bounds.bytes
    outbox.bounds.load()
    assert held == (outbox.bounds.rows, outbox.bounds.bytes)


def test_a_full_file_refuses_the_batch_whole_and_takes_it_when_something_was_stored(tmp_path):
    outbox = opened(tmp_path)
    outbox._connection.execute("PRAGMA max_page_count = 60").fetchall()
    with pytest.raises(OutboxError, match="make room on its disk"):
        fill(outbox)
    kept = sum(1 for _ in outbox._connection.execute("SELECT n FROM readings"))
    assert kept > 0
    own = outbox.boots.find("pump", OWN)
    assert own is not None
    assert (outbox.bounds.rows, own.next_seq, outbox.counts.totals["kept"]) == (kept, kept, kept)
    free(outbox, kept - 1, OWN)
    outbox.keep([said(0, boot=None)])
    assert numbers(outbox) == [kept]


def test_an_outbox_of_a_newer_version_is_refused_in_words(tmp_path):
    outbox = opened(tmp_path)
    outbox._connection.execute("PRAGMA user_version = 99")
    outbox.close()
    with pytest.raises(GatewayError, match="was written by a newer version"):
        opened(tmp_path)


def test_a_file_that_is_no_outbox_is_refused_in_words(tmp_path):
    (tmp_path / "o.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(GatewayError, match="cannot be opened"):
        opened(tmp_path)
