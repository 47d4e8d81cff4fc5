"""The drivers against sensors that behave as their data sheets say, also when they misbehave."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tests.firmware.esp32 import as_sampled, ask


def crc8(data: bytes) -> int:
    """Maxim's checksum, written down a second time: x⁸ + x⁵ + x⁴ + 1, least significant bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8C if crc & 1 else crc >> 1
    return crc


def scratchpad(raw: int) -> bytes:
    data = struct.pack("<h", raw) + bytes([0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])
    return data + bytes([crc8(data)])


def celsius(*answers: bytes, folder: Path) -> list[float | None]:
    found: list[float | None] = ask("thermometer.py", *(answer.hex() for answer in answers), cwd=folder)
    return found


def test_temperatures_are_those_of_the_data_sheets_table(tmp_path: Path) -> None:
    table = {0x07D0: 125.0, 0x0191: 25.0625, 0x00A2: 10.125, 0x0008: 0.5, 0x0000: 0.0, 0xFFF8: -0.5, 0xFC90: -55.0}
    answers = [scratchpad(raw - 65536 if raw > 32767 else raw) for raw in table]
    assert celsius(*answers, folder=tmp_path) == list(table.values())


def test_a_damaged_answer_is_no_temperature(tmp_path: Path) -> None:
    sound = scratchpad(0x0191)
    damaged = [sound[:at] + bytes([sound[at] ^ 0x10]) + sound[at + 1 :] for at in range(9)]
    assert celsius(*damaged, folder=tmp_path) == [None] * 9


def test_the_85_degrees_of_a_sensor_that_did_not_measure_are_no_temperature(tmp_path: Path) -> None:
    assert celsius(scratchpad(0x0550), folder=tmp_path) == [None]


@pytest.mark.parametrize("wire", [0x00, 0xFF], ids=["low", "high"])
def test_a_wire_without_a_sensor_has_no_temperature(wire: int, tmp_path: Path) -> None:
    assert celsius(bytes([wire] * 9), folder=tmp_path) == [None]


def test_the_fifo_is_read_in_whole_samples_in_every_range_and_begins_anew_after_an_overflow(tmp_path: Path) -> None:
    (tmp_path / "samples").write_bytes(as_sampled(np.tile([0.0, 0.5, 1.0], (1000, 1))))
    found = ask("fifo.py", cwd=tmp_path)
    assert found["ranges"] == pytest.approx({"2": 1.0, "4": 1.0, "8": 1.0, "16": 1.0})
    assert found["late"] is None
    # 20 ms after the new start: some 20 samples of 6 bytes, more on a busy machine.
    assert 15 * 6 <= found["after"] < 100 * 6
    assert found["after"] % 6 == 0
    assert found["small"] == 18
