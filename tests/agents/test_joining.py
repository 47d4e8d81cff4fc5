"""Readings that came one by one are joined where nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.agents.joining import Joining
from contract.columns import Columns
from contract.events import SensorReadingIngestedEvent

BOOT, OTHER_BOOT = "9f2c41d07be3a655", "0b1c41d07be3a655"


def one(seq: int, **changes: Any) -> tuple[str, Columns, int]:
    """A message of one reading: whose it is, what it says, and when it arrived."""
    told: dict[str, Any] = {
        "device": "pump-01",
        "boot": BOOT,
        "metrics": ("a", "b"),
        "replayed": False,
        "traced": False,
    }
    told |= {"oldest": None} | changes
    device = told.pop("device")
    row = (float(seq),) * len(told["metrics"])
    return device, Columns(**told, seq=[seq], measured_at_ms=[seq * 1000], rows=[row]), 1000 + seq


def whole(seq: int, device: str = "pump-01") -> SensorReadingIngestedEvent:
    """A block of one reading that has its sender's id."""
    return SensorReadingIngestedEvent(
        site="plant-1",
        device=device,
        boot=BOOT,
        received_at_ms=1000 + seq,
        metrics=["a"],
        seq=[seq],
        measured_at_ms=[seq * 1000],
        values=[[float(seq)]],
        request_id="order-17",
    )


def joined(messages: list[tuple[str, Columns, int] | SensorReadingIngestedEvent]) -> list[SensorReadingIngestedEvent]:
    joining = Joining()
    for message in messages:
        if isinstance(message, SensorReadingIngestedEvent):
            joining.add_whole(message)
        else:
            device, columns, at_ms = message
            joining.add("plant-1", device, columns, at_ms)
    return joining.blocks()


def readings(blocks: list[SensorReadingIngestedEvent]) -> dict[str, list[tuple[object, ...]]]:
    """What was said of each device, in order."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for each in blocks:
        about = (each.boot, tuple(each.metrics), each.replayed, each.traced, each.request_id, each.oldest)
        rows = zip(each.seq, each.measured_at_ms, zip(*each.values, strict=True), strict=True)
        found.setdefault(each.device, []).extend((*about, *row) for row in rows)
    return found


def test_neighbours_of_one_device_become_one_block_that_arrived_with_the_first() -> None:
    [block] = joined([one(0), one(1), one(2)])
    assert (block.seq, block.measured_at_ms, block.values) == ([0, 1, 2], [0, 1000, 2000], [[0.0, 1.0, 2.0]] * 2)
    assert block.received_at_ms == 1000


def test_devices_in_turn_become_one_block_each() -> None:
    blocks = joined([one(seq, device=device) for seq in range(3) for device in ("p1", "p2")])
    assert [(each.device, each.seq) for each in blocks] == [("p1", [0, 1, 2]), ("p2", [0, 1, 2])]


@pytest.mark.parametrize(
    "changes", [{"boot": OTHER_BOOT}, {"metrics": ("a",)}, {"replayed": True}, {"traced": True}, {"oldest": 1}]
)
def test_what_says_something_of_itself_stays_alone(changes: dict[str, Any]) -> None:
    assert len(joined([one(0), one(1, **changes), one(2)])) == 3


def test_what_has_its_senders_id_stays_alone() -> None:
    assert [each.request_id for each in joined([one(0), whole(1), one(2)])] == [None, "order-17", None]


def test_what_came_as_several_stays_as_it_came() -> None:
    device, columns, at_ms = one(1)
    several = columns._replace(seq=[1, 2], measured_at_ms=[1000, 2000], rows=columns.rows * 2)
    assert [each.seq for each in joined([one(0), (device, several, at_ms), one(3)])] == [[0], [1, 2], [3]]


def test_a_block_holds_no_more_than_a_message_may() -> None:
    assert [len(each) for each in joined([one(seq) for seq in range(1500)])] == [1000, 500]


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["p1", "p2"]),
        "boot": st.sampled_from([BOOT, OTHER_BOOT]),
        "metrics": st.sampled_from([("a",), ("a", "b")]),
        "replayed": st.booleans(),
        "traced": st.booleans(),
        "oldest": st.sampled_from([None, 3]),
    },
)


@given(st.lists(CHANGES | st.sampled_from(["p1", "p2"]), max_size=12))
def test_no_reading_is_lost_changed_or_put_before_another_of_its_device(changes: list[dict[str, Any] | str]) -> None:
    def messages() -> list[tuple[str, Columns, int] | SensorReadingIngestedEvent]:
        return [whole(at, each) if isinstance(each, str) else one(at, **each) for at, each in enumerate(changes)]

    alone = [block for message in messages() for block in joined([message])]
    assert readings(joined(messages())) == readings(alone)
