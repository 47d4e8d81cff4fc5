"""The simulated accelerometer answers the firmware's own driver as an MPU6050 does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from firmware.generate import ESP32
from tests.wokwi.chip import ADDRESS, DEFINITION, SAMPLE_BYTES, WOKWI, Chip, build, powered

RANGES = {2: 16384, 4: 8192, 8: 4096, 16: 2048}
FIFO_BYTES = 1024
USER_CTRL, INT_STATUS, PWR_MGMT_1, WHO_AM_I = 0x6A, 0x3A, 0x6B, 0x75


def read(chip: Chip, register: int, size: int = 1, address: int = ADDRESS) -> bytes | None:
    """Registers in one burst; None where nobody answers."""
    answer = chip.do(["read", address, register, size])[0]
    return None if answer is None else bytes.fromhex(answer)


def drain(chip: Chip, driver, ms: float) -> bytes:
    """What the driver takes from the FIFO after `ms`."""
    room = memoryview(bytearray(FIFO_BYTES))
    chip.wait(ms)
    size = driver.read_into(room)
    assert size is not None
    return bytes(room[:size])


def test_the_same_sources_give_the_same_bytes(binary: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again.wasm").read_bytes() == binary.read_bytes()


def test_it_asks_wokwi_for_nothing_but_what_a_chip_may_ask(binary: Path) -> None:
    script = f"const m = new WebAssembly.Module(require('fs').readFileSync({json.dumps(str(binary))}));"
    script += "console.log(JSON.stringify([WebAssembly.Module.imports(m), WebAssembly.Module.exports(m)]))"
    run = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=30)
    imports, exports = json.loads(run.stdout)
    declared = set(re.findall(r'FROM_WOKWI\("(\w+)"\)', (WOKWI / "chip_api.h").read_text()))
    assert {(each["module"], each["name"]) for each in imports} == {("env", name) for name in {"memory", *declared}}
    assert {each["name"] for each in exports} == {"__indirect_function_table", "__wokwi_api_version_1", "chipInit"}


def test_every_slider_of_its_definition_has_a_value_from_power_up(chip: Chip) -> None:
    controls = {each["id"]: each for each in json.loads(DEFINITION.read_text())["controls"]}
    initially = chip.do(["controls"])[0]
    assert initially.keys() == controls.keys()
    assert all(controls[name]["min"] <= value <= controls[name]["max"] for name, value in initially.items())


def test_it_wakes_up_as_the_register_map_says(chip: Chip) -> None:
    assert read(chip, WHO_AM_I) == b"\x68"
    assert read(chip, PWR_MGMT_1) == b"\x40"


def test_ad0_chooses_its_address_and_it_hears_no_other(chip: Chip) -> None:
    assert read(chip, WHO_AM_I, address=0x69) is None
    chip.do(["level", "AD0", 1])
    assert read(chip, WHO_AM_I, address=ADDRESS) is None
    # The identity is the address without AD0.
    assert read(chip, WHO_AM_I, address=0x69) == b"\x68"
    assert chip.driver(0x69).start(8) is None


def test_asleep_it_samples_nothing(chip: Chip) -> None:
    driver = chip.driver()
    driver._write(0x23, 0x08)
    driver.clear()
    chip.wait(100)
    assert read(chip, 0x72, 2) == b"\x00\x00"


@pytest.mark.parametrize(("range_g", "lsb_per_g"), RANGES.items())
def test_each_range_shows_the_same_gravity(chip: Chip, range_g: int, lsb_per_g: int) -> None:
    driver = chip.sampling(range_g)
    assert driver.lsb_per_g == lsb_per_g
    mean = chip.seconds(2, lsb_per_g).mean(axis=0)
    assert mean == pytest.approx([0, 0, 1], abs=0.003)


def test_beyond_its_range_it_stops_at_the_last_number(chip: Chip) -> None:
    chip.slide(imbalance=100, rpm=3000)
    driver = chip.sampling(2)
    window = chip.seconds(1, driver.lsb_per_g)
    assert window.min() == -2
    assert window.max() == pytest.approx(2 - 1 / driver.lsb_per_g)


def test_a_millisecond_is_a_sample(chip: Chip) -> None:
    driver = chip.sampling()
    assert [len(drain(chip, driver, ms)) // SAMPLE_BYTES for ms in (1, 7, 40, 0.5, 0.5)] == [1, 7, 40, 0, 1]


def test_the_newest_sample_also_stands_in_the_registers(chip: Chip) -> None:
    driver = chip.sampling()
    assert drain(chip, driver, 5)[-SAMPLE_BYTES:] == read(chip, 0x3B, SAMPLE_BYTES)


def test_the_divider_slows_the_sampling_down(chip: Chip) -> None:
    driver = chip.sampling()
    driver._write(0x19, 4)
    chip.wait(1)
    driver.clear()
    assert len(drain(chip, driver, 100)) == 20 * SAMPLE_BYTES


@pytest.mark.parametrize("away_ms", [200, 3_600_000])
def test_a_fifo_left_alone_overflows_says_so_once_and_begins_anew(chip: Chip, away_ms: int) -> None:
    driver, room = chip.sampling(), memoryview(bytearray(FIFO_BYTES))
    chip.wait(away_ms)
    assert read(chip, 0x72, 2) == FIFO_BYTES.to_bytes(2)
    assert driver.read_into(room) is None
    assert read(chip, INT_STATUS) == b"\x00"
    window = np.frombuffer(drain(chip, driver, 20), ">i2").reshape(-1, 3) / driver.lsb_per_g
    assert len(window) == 20
    assert window[:, 2] == pytest.approx(1, abs=0.2)


def test_the_machine_turns_on_while_nobody_listens(binary: Path) -> None:
    heard = []
    for pauses in ([10_007], [100] * 100 + [7]):
        with powered(binary) as chip:
            chip.slide(rpm=1480, bearing=50)
            driver = chip.sampling()
            for pause in pauses:
                chip.wait(pause)
                driver.clear()
            heard.append(np.frombuffer(drain(chip, driver, 50), ">i2"))
    # Many small turns are one large one but for the last digits of a double.
    assert np.abs(heard[0] - heard[1]).max() <= 1


def test_what_overflowed_has_lost_its_oldest_bytes_and_no_others(chip: Chip) -> None:
    driver = chip.sampling()
    chip.wait(171)
    assert read(chip, INT_STATUS) == b"\x10"
    # 171 samples are 1,026 bytes: the first two are gone, and a reader that goes on reads every axis wrong.
    raw = read(chip, 0x74, FIFO_BYTES)
    assert raw is not None
    assert np.frombuffer(raw[4:], ">i2").reshape(-1, 3)[:, 2] / driver.lsb_per_g == pytest.approx(1, abs=0.2)


def test_an_empty_fifo_repeats_its_last_byte(chip: Chip) -> None:
    driver = chip.sampling()
    last = drain(chip, driver, 3)[-1]
    assert read(chip, 0x74, 4) == bytes([last] * 4)


def test_a_reset_forgets_what_was_set(chip: Chip) -> None:
    driver = chip.sampling(16)
    chip.wait(10)
    driver._write(PWR_MGMT_1, 0x80)
    assert read(chip, 0x1C) == b"\x00"
    assert read(chip, USER_CTRL) == b"\x00"
    assert read(chip, 0x72, 2) == b"\x00\x00"


def test_its_identity_cannot_be_written(chip: Chip) -> None:
    chip.driver()._write(WHO_AM_I, 0x70)
    assert read(chip, WHO_AM_I) == b"\x68"


def test_two_runs_are_byte_for_byte_the_same(binary: Path) -> None:
    runs = []
    for _ in range(2):
        with powered(binary) as chip:
            chip.slide(bearing=40)
            runs.append(drain(chip, chip.sampling(), 150))
    assert runs[0] == runs[1]


def test_it_has_every_register_that_the_driver_uses_but_the_bandwidth() -> None:
    source = (ESP32 / "lib" / "drivers" / "mpu6050.py").read_text().partition("_OVERFLOW")[0]
    driver = re.findall(r"^_([A-Z_0-9]+) = (0x[0-9A-F]{2})$", source, re.MULTILINE)
    chip = re.findall(r"^ {4}([A-Z_0-9]+) = (0x[0-9A-F]{2}),$", (WOKWI / "vibration.chip.c").read_text(), re.MULTILINE)
    assert {name for name, _ in set(driver) - set(chip)} == {"CONFIG"}
