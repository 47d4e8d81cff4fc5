"""Readings that came one by one are joined where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.agents.joining import joined
from contract.events import SensorReadingIngestedEvent

BOOT, OTHER_BOOT = "9f2c41d07be3a655", "0b1c41d07be3a655"


def block(seq: int, **changes: Any) -> SensorReadingIngestedEvent:
    told = {"site": "plant-1", "device": "pump-01", "boot": BOOT, "metrics": ["a", "b"]} | changes
    return SensorReadingIngestedEvent(
        **told,
        received_at_ms=1000 + seq,
        seq=[seq],
        measured_at_ms=[seq * 1000],
        values=[[float(seq)] for _ in told["metrics"]],
    )


def readings(blocks: list[SensorReadingIngestedEvent]) -> dict[str, list[tuple[object, ...]]]:
    """What was said of each device, in order."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for each in blocks:
        about = (each.boot, tuple(each.metrics), each.replayed, each.traced, each.request_id, each.oldest)
        rows = zip(each.seq, each.measured_at_ms, zip(*each.values, strict=True), strict=True)
        found.setdefault(each.device, []).extend((*about, *row) for row in rows)
    return found


def test_neighbours_of_one_device_become_one_block_that_arrived_with_the_first() -> None:
    [one] = joined([block(0), block(1), block(2)])
    assert (one.seq, one.measured_at_ms, one.values) == ([0, 1, 2], [0, 1000, 2000], [[0.0, 1.0, 2.0]] * 2)
    assert one.received_at_ms == 1000


def test_devices_in_turn_become_one_block_each() -> None:
    blocks = joined([block(seq, device=device) for seq in range(3) for device in ("p1", "p2")])
    assert [(each.device, each.seq) for each in blocks] == [("p1", [0, 1, 2]), ("p2", [0, 1, 2])]


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": OTHER_BOOT},
        {"metrics": ["a"]},
        {"replayed": True},
        {"traced": True},
        {"request_id": "order-17"},
        {"oldest": 1},
    ],
)
def test_what_says_something_of_itself_stays_alone(changes: dict[str, Any]) -> None:
    assert len(joined([block(0), block(1, **changes), block(2)])) == 3


def test_a_block_holds_no_more_than_a_message_may() -> None:
    assert [len(each) for each in joined(block(seq) for seq in range(1500))] == [1000, 500]


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["p1", "p2"]),
        "boot": st.sampled_from([BOOT, OTHER_BOOT]),
        "metrics": st.sampled_from([["a"], ["a", "b"]]),
        "replayed": st.booleans(),
        "traced": st.booleans(),
        "request_id": st.sampled_from([None, "x"]),
        "oldest": st.sampled_from([None, 3]),
    },
)


@given(st.lists(CHANGES, max_size=12))
def test_no_reading_is_lost_changed_or_put_before_another_of_its_device(changes: list[dict[str, Any]]) -> None:
    blocks = [block(seq, **each) for seq, each in enumerate(changes)]
    before = msgspec.json.encode(blocks)
    assert readings(joined(blocks)) == readings(blocks)
    assert msgspec.json.encode(blocks) == before
