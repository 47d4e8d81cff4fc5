"""The ring in flash, on LittleFS: what was kept is sent until the store has it, and what is lost is counted."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contract import telemetry
from tests.firmware.esp32 import answers

# An hour before the clock of `messages.py`: old enough to be called history.
LONG_AGO, NOW = 1_763_800_000_000, 1_763_800_000_000 + 3_600_000
FIRST, SECOND = "00000000000000aa", "00000000000000bb"
# 2 MB of flash in blocks of 4 kB.
BLOCKS = 512
Order = list[Any]


class Found(NamedTuple):
    """What was answered to the orders, and what the ring holds at the end."""

    said: list[Any]
    held: int
    dropped: int
    files: list[str]


def asked(*orders: Order, folder: Path, blocks: int = BLOCKS) -> Found:
    *said, end = answers("messages.py", folder / "flash", blocks, cwd=folder, given=orders)
    return Found(said, **end)


def up(boot: str = FIRST, capacity: int = 10_000) -> Order:
    return ["restart", boot, capacity]


def hold(count: int, at_ms: int = NOW) -> Order:
    return ["hold", count, at_ms]


def seqs(message: Any) -> list[int]:
    return [] if message is None else [row["seq"] for row in message["readings"]]


def test_a_message_is_what_the_contract_reads(tmp_path: Path) -> None:
    found = asked(up(), hold(4), ["take", 16], folder=tmp_path)
    message = telemetry.decode(json.dumps(found.said[-1]).encode(), "plant-1", "pump-07")
    assert message.refused == []
    assert [(row.boot, row.seq, row.measured_at_ms) for row in message.readings] == [
        (FIRST, n, NOW + n) for n in range(4)
    ]
    assert message.readings[1].values == {"vibration_rms_g": 0.125, "temperature_c": 20.125}
    assert message.readings[3].values == {"vibration_rms_g": 0.375}
    assert (message.oldest, message.replayed) == (None, False)


def test_what_waited_for_long_is_history(tmp_path: Path) -> None:
    assert asked(up(), hold(2, LONG_AGO), ["take", 16], folder=tmp_path).said[-1]["replayed"] is True


def test_only_the_watermark_frees_and_what_it_does_not_cover_goes_again(tmp_path: Path) -> None:
    take = [["take", 4]] * 3
    found = asked(up(), hold(10), *take, ["free", None, 5], ["again"], *take, folder=tmp_path)
    assert [seqs(said) for said in found.said[1:4]] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert found.said[4] == 6
    assert [seqs(said) for said in found.said[5:]] == [[6, 7, 8, 9], [], []]
    assert found.held == 4


def test_a_restored_store_gets_again_what_is_held_and_is_told_what_is_gone(tmp_path: Path) -> None:
    take = [["take", 16]]
    found = asked(up(), hold(10), *take, ["free", None, 5], ["free", None, 2], *take, folder=tmp_path)
    assert seqs(found.said[-1]) == [6, 7, 8, 9]
    assert found.said[-1]["oldest"] == 6


def test_while_the_store_confirms_the_flash_is_not_written(tmp_path: Path) -> None:
    orders = [order for seq in range(200) for order in (hold(1), ["free", None, seq])]
    found = asked(up(), *orders, folder=tmp_path)
    assert (found.held, found.files) == (0, [])


def test_a_full_ring_drops_the_oldest_counts_it_and_says_what_is_left(tmp_path: Path) -> None:
    found = asked(up(capacity=50), hold(80), ["take", 16], folder=tmp_path)
    assert (found.held, found.dropped) == (50, 30)
    assert found.said[-1]["oldest"] == 30
    assert seqs(found.said[-1])[0] == 30


def test_a_ring_that_was_made_smaller_loses_the_oldest_at_once(tmp_path: Path) -> None:
    found = asked(up(), hold(600), ["spill"], up(SECOND, 100), hold(1), ["take", 16], folder=tmp_path)
    assert (found.held, found.dropped) == (100, 501)
    assert seqs(found.said[-1])[0] == 501


def test_after_a_power_cut_the_earlier_boot_is_sent_first_and_then_this_one(tmp_path: Path) -> None:
    take = ["take", 50]
    orders = [up(), hold(34), up(SECOND), hold(2), take, take, ["free", FIRST, 33], take]
    _, found, first, nothing, freed, second = asked(*orders, folder=tmp_path).said
    # Two groups of 17 were written; nothing of the first boot waited in memory.
    assert found == 34
    assert (first["boot"], seqs(first), first["oldest"]) == (FIRST, list(range(34)), 0)
    assert (nothing, freed) == (None, 34)
    assert (second["boot"], seqs(second)) == (SECOND, [0, 1])


def test_half_a_record_of_a_power_cut_is_no_reading(tmp_path: Path) -> None:
    found = asked(up(), hold(17), ["spill"], ["tear"], up(SECOND), ["take", 50], folder=tmp_path)
    assert found.said[1] == 17
    assert seqs(found.said[2]) == list(range(17))


def test_flash_that_is_full_before_the_ring_costs_the_oldest_and_stops_nothing(tmp_path: Path) -> None:
    # 8 blocks of 4 kB, of which LittleFS needs some for itself, hold a thousand readings of 16 bytes.
    found = asked(up(), hold(2500), ["take", 1], folder=tmp_path, blocks=8)
    assert found.dropped > 0
    assert found.held == 2500 - found.dropped
    assert found.said[-1]["oldest"] == found.dropped == seqs(found.said[-1])[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_every_reading_goes_out_until_it_is_stored(seed: int, tmp_path: Path) -> None:
    """Readings, watermarks and cut lines in any order, then a power cut: what is above the watermark is sent."""
    chance = random.Random(seed)
    orders, held = [up()], 0
    for _ in range(150):
        count = chance.choice([1, 1, 2, 30])
        held += count
        orders += [hold(count), *[["take", chance.choice([1, 4, 16])]] * chance.choice([0, 1, 3])]
        if chance.random() < 0.3:
            orders.append(["free", None, held - chance.randrange(1, 200)])
        if chance.random() < 0.1:
            orders.append(["again"])
    through = max(order[2] for order in orders if order[0] == "free")
    found = asked(*orders, ["spill"], ["again"], *[["take", 16]] * 20, folder=tmp_path)
    assert (found.held, found.dropped) == (held - through - 1, 0)
    assert [seq for said in found.said[-20:] for seq in seqs(said)] == list(range(through + 1, held))[: 20 * 16]
