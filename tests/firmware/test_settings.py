"""Configuration over MQTT: taken as a whole or refused with a reason, and kept over a power cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from firmware.generate import ESP32
from tests.firmware.esp32 import ask

DEFAULTS = {"reading_every_s": 1, "status_every_s": 15, "accel_range_g": 8, "ring_readings": 30000}
REFUSED = {
    "not json": ("malformed", "not JSON"),
    "[1]": ("malformed", "not a JSON object"),
    '{"id": 5}': ("malformed", "the id must be a text of at most 128 characters"),
    '{"wifi": "other"}': (
        "unknown_setting",
        "'wifi' is none of: accel_range_g, reading_every_s, ring_readings, status_every_s",
    ),
    '{"reading_every_s": 0}': ("out_of_range", "reading_every_s must be 1 to 3600"),
    '{"reading_every_s": 1.5}': ("wrong_type", "reading_every_s must be a whole number"),
    '{"reading_every_s": true}': ("wrong_type", "reading_every_s must be a whole number"),
    '{"accel_range_g": 3}': ("out_of_range", "accel_range_g must be one of 2, 4, 8, 16"),
    '{"accel_range_g": 16, "ring_readings": 1}': ("out_of_range", "ring_readings must be 10 to 30000"),
    json.dumps({"id": "x" * 2000}): ("too_large", "2010 bytes; a configuration has at most 1024"),
}


def report(*desired: str, folder: Path) -> Any:
    return ask("settings.py", cwd=folder, given=desired)


@pytest.mark.parametrize("desired", REFUSED, ids=lambda text: text[:40])
def test_what_cannot_be_is_refused_with_a_code_and_a_sentence_and_nothing_changes(desired: str, tmp_path: Path) -> None:
    code, sentence = REFUSED[desired]
    found = report(desired, folder=tmp_path)
    (answer,) = found["reports"]
    assert (answer["refused"], answer["detail"], answer["config"]) == (code, sentence, DEFAULTS)
    assert found["kept"] == DEFAULTS
    assert not (tmp_path / "settings.json").exists()


def test_what_can_be_is_taken_and_kept_over_a_power_cut(tmp_path: Path) -> None:
    found = report('{"id": "c-1", "accel_range_g": 16}', '{"reading_every_s": 60}', folder=tmp_path)
    assert found["reports"][0] == {"id": "c-1", "config": DEFAULTS | {"accel_range_g": 16}}
    assert found["kept"] == DEFAULTS | {"accel_range_g": 16, "reading_every_s": 60}


def test_a_refused_configuration_changes_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    found = report('{"accel_range_g": 4}', '{"accel_range_g": 2, "reading_every_s": -1}', folder=tmp_path)
    assert found["kept"]["accel_range_g"] == 4


def test_the_same_configuration_again_does_not_wear_the_flash(tmp_path: Path) -> None:
    report('{"accel_range_g": 4}', folder=tmp_path)
    written = (tmp_path / "settings.json").stat().st_mtime_ns
    report('{"accel_range_g": 4}', folder=tmp_path)
    assert (tmp_path / "settings.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("kept", ['{"accel_range_g": 7}', '{"gone": 1}', "half a fi", "[]"])
def test_settings_that_are_not_allowed_any_more_are_the_defaults_again(kept: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(kept)
    assert report(folder=tmp_path)["kept"] == DEFAULTS


def test_pauses_between_connections_grow_to_half_a_minute_and_are_spread(tmp_path: Path) -> None:
    pauses = ask("pauses.py", cwd=tmp_path)
    assert pauses[0] == pytest.approx([250, 500], abs=5)
    assert pauses[-1] == pytest.approx([15000, 30000], abs=100)
    assert all(before[1] <= after[1] for before, after in pairwise(pauses))


def test_the_example_configuration_is_one(tmp_path: Path) -> None:
    example = json.loads((ESP32 / "config.example.json").read_text(encoding="utf-8"))
    assert ask("load.py", ESP32 / "config.example.json", cwd=tmp_path) == example


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "there is no config.json: copy config.example.json and fill it in"),
        ("site: plant-1", "config.json is not JSON"),
        ("[]", "config.json is not a JSON object"),
        ('{"site": "a/b"}', "config.json: 'site' must be 1 to 63 letters, digits, '-' or '_'"),
        ('{"site": "p", "device": "é"}', "config.json: 'device' must be 1 to 63 letters, digits, '-' or '_'"),
        ('{"site": "p", "device": "d"}', "config.json: 'wifi' needs an 'ssid', the network's name"),
        (
            '{"site": "p", "device": "d", "wifi": {"ssid": "w"}, "mqtt": {}}',
            "config.json: 'mqtt' needs a 'host', such as 192.168.1.10",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_to_write(
    text: str | None, sentence: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert ask("load.py", "config.json", cwd=tmp_path) == sentence
