"""Which block is the next one: where nothing of its boot is left out, before it or in it."""

from __future__ import annotations

import pytest

from cloud.agents.assets import Asset, Position
from cloud.agents.inputs import input_watch
from detection.machine import Machine
from tests.agents.detection_bench import BOOT, MODEL, promotion
from tests.support.machines import START_MS
from tests.support.readings import block

OTHER = "b" * 16


def asset_at(position: Position) -> Asset:
    return Asset(promotion(), Machine.begun(MODEL), position, input_watch(MODEL))


@pytest.mark.parametrize(
    ("boot", "seqs", "follows"),
    [
        (BOOT, [5, 6, 7], True),
        (BOOT, [7, 5, 6], True),
        (BOOT, [3, 4, 5], True),
        (BOOT, [6, 7], False),
        # Joined of several messages, of which a broker that was killed lost one in the middle.
        (BOOT, [5, 9, 10], False),
        (OTHER, [0, 1], True),
        (OTHER, [1, 2], False),
        (OTHER, [0, 2], False),
    ],
)
def test_a_block_follows_when_nothing_is_left_out_before_or_in_it(boot: str, seqs: list[int], *, follows: bool) -> None:
    assert asset_at(Position(START_MS, BOOT, 4)).follows(block(seqs, boot=boot)) is follows


def test_of_a_machine_that_was_never_judged_the_middle_of_a_boot_is_not_the_next() -> None:
    asset = asset_at(Position(START_MS))
    assert asset.follows(block([0, 1]))
    assert not asset.follows(block([700, 701]))


def test_who_does_not_count_leaves_nothing_out() -> None:
    assert asset_at(Position(START_MS)).follows(block([700, 3], boot="uncounted"))
