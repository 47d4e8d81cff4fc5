"""Which reading is this: the ids are the same today, tomorrow and on every machine."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.identity import (
    PARTITIONS,
    UNCOUNTED_BOOT,
    digest_id,
    digest_seq,
    parse_reading_id,
    partition_of,
    reading_id,
)
from tests.contract import strategies as ours


@pytest.mark.parametrize(
    ("site", "device", "partition"),
    [("plant-1", "pump-07", 14), ("plant-1", "pump-08", 31), ("Werk_2-Nord", "P-101_A", 23), ("a", "b", 28)],
)
def test_a_partition_never_moves(site: str, device: str, partition: int) -> None:
    # Pinned: a device's state lives where its partition says.
    assert partition_of(site, device) == partition


@given(ours.sites, ours.devices)
def test_every_device_has_one_of_64_partitions(site: str, device: str) -> None:
    assert 0 <= partition_of(site, device) < PARTITIONS == 64


def test_devices_spread_over_the_partitions() -> None:
    crowd = [partition_of("plant-1", f"pump-{n}") for n in range(6400)]
    # 100 each on average; half and double of it would still be no hot spot.
    assert all(50 < crowd.count(partition) < 200 for partition in range(PARTITIONS))


@given(ours.sites, ours.devices, ours.boots | st.just(UNCOUNTED_BOOT), st.integers(0, 2**63 - 1))
def test_an_identity_written_out_is_taken_apart_again(site: str, device: str, boot: str, seq: int) -> None:
    assert parse_reading_id(reading_id(site, device, boot, seq)) == (site, device, boot, seq)


@pytest.mark.parametrize(
    "text",
    [
        "order-1",
        "a.b.c.1",
        "a.b.9f2c41d07be3a655",
        "a.b.9f2c41d07be3a655.x",
        "a.b.9F2C41D07BE3A655.1",
        "a.b.c.9f2c41d07be3a655.1",
        f"a.b.uncounted.{2**63}",
    ],
)
def test_an_id_that_somebody_chose_is_no_identity(text: str) -> None:
    assert parse_reading_id(text) is None


def test_a_reading_is_written_out_as_it_is_printed_in_the_mail() -> None:
    assert reading_id("plant-1", "pump-07", "9f2c41d07be3a655", 17) == "plant-1.pump-07.9f2c41d07be3a655.17"


@given(
    st.tuples(ours.sites, ours.devices, ours.boots, ours.seqs),
    st.tuples(ours.sites, ours.devices, ours.boots, ours.seqs),
)
def test_two_readings_never_share_an_id(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    assert (reading_id(*one) == reading_id(*other)) == (one == other)


@given(ours.sites, ours.devices, ours.times, ours.values)
def test_a_digest_does_not_depend_on_the_order_of_the_channels(
    site: str, device: str, at_ms: int, values: dict[str, float]
) -> None:
    backwards = dict(reversed(values.items()))
    seq = digest_seq(site, device, at_ms, values)
    assert seq == digest_seq(site, device, at_ms, backwards)
    assert 0 <= seq < 2**63


def test_a_digest_tells_time_values_and_devices_apart() -> None:
    known = digest_seq("plant-1", "pump-07", 1763800000123, {"a": 1.0})
    assert known == 291769660079738358  # pinned: stored rows are known by it
    others = [
        digest_seq("plant-1", "pump-08", 1763800000123, {"a": 1.0}),
        digest_seq("plant-1", "pump-07", 1763800000124, {"a": 1.0}),
        digest_seq("plant-1", "pump-07", 1763800000123, {"a": 2.0}),
        digest_seq("plant-1", "pump-07", 1763800000123, {"b": 1.0}),
    ]
    assert len({known, *others}) == 5


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.integers(), max_size=4))
def test_an_id_is_the_same_for_the_same_parts_and_another_for_one_more(parts: list[str | int | None]) -> None:
    assert digest_id(*parts) == digest_id(*parts) != digest_id(*parts, "more")
    assert len(digest_id(*parts)) == 32


def test_an_id_tells_its_parts_apart() -> None:
    assert len({digest_id("ab", "c"), digest_id("a", "bc"), digest_id("abc"), digest_id("a", None, "bc")}) == 4


def test_the_ids_are_the_same_in_another_process() -> None:
    code = """if True:
        from contract.identity import digest_id, digest_seq, partition_of
        print(partition_of("a", "b"), digest_seq("a", "b", 1, {"x": 1.0}), digest_id("a"))
    """
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert there.split() == [str(partition_of("a", "b")), str(digest_seq("a", "b", 1, {"x": 1.0})), digest_id("a")]
