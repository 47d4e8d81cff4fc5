"""What a device keeps over a power cut."""

from __future__ import annotations

import pytest

from edge.flash import REMEMBERED_COMMANDS, Flash, FlashError, Past

PAST = Past(boot="a" * 16, first_seq=0, first_s=1_763_800_000, rows=1920)


def test_what_was_kept_is_there_after_the_next_power_up(tmp_path):
    flash = Flash(tmp_path / "deep" / "plant-1.pump-01.json")
    flash.remember_past(PAST)
    flash.remember_told(17)
    flash.remember_command("c-1")
    memory = Flash(tmp_path / "deep" / "plant-1.pump-01.json").memory
    assert (memory.past, memory.told_s, memory.obeyed) == (PAST, 17, ["c-1"])


def test_commands_are_remembered_up_to_a_bound_newest_last():
    flash = Flash(None)
    for number in range(REMEMBERED_COMMANDS + 5):
        flash.remember_command(f"c-{number}")
    assert len(flash.memory.obeyed) == REMEMBERED_COMMANDS
    assert flash.memory.obeyed[-1] == f"c-{REMEMBERED_COMMANDS + 4}"


def test_a_file_of_somebody_else_is_named_and_left_alone(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("not ours")
    with pytest.raises(FlashError, match=r"x\.json.*delete it"):
        _ = Flash(path).memory
    assert path.read_text() == "not ours"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    flash = Flash(tmp_path / "folder" / "x.json")
    assert flash.memory.past is None
    (tmp_path / "folder").write_text("")
    with pytest.raises(FlashError, match="cannot write"):
        flash.remember_told(1)
