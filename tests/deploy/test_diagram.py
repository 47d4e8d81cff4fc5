"""The production diagram is what its source says, and its source what there is."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

from ronda.installation import AGENT_NAMES
from tests.support.installation import ROOT

FOLDER = ROOT / "docs" / "architecture"
PICTURE = ROOT / "docs" / "images" / "production.svg"
SOURCE = tomllib.loads((FOLDER / "production.toml").read_text(encoding="utf-8"))
# Half a pixel more than the widest of the fonts that are named needs for a letter of a bold title.
_LETTER = 6.9


def test_the_picture_is_what_its_source_says(tmp_path: Path) -> None:
    fresh = tmp_path / "production.svg"
    subprocess.run([sys.executable, FOLDER / "draw.py", fresh], check=True, timeout=30)
    assert PICTURE.read_text() == fresh.read_text(), "make it again: python docs/architecture/draw.py"


def test_every_agent_is_on_it_with_what_it_hears_and_says() -> None:
    boxes = {box["id"] for box in SOURCE["box"]}
    assert {*AGENT_NAMES, "broker", "api", "trainer", "postgresql", "mlflow", "s3", "redis", "prometheus"} <= boxes
    assert set(AGENT_NAMES) <= {each["part"] for each in SOURCE["traffic"]}
    ends = {end for line in SOURCE["line"] for end in (line["from"], line["to"])}
    assert ends | {*SOURCE["rail"]["parts"], SOURCE["rail"]["to"]} <= boxes


def test_it_says_what_each_part_is_in_each_environment() -> None:
    table = SOURCE["table"]
    assert table["columns"][1:] == ["ronda up", "docker compose", "Kubernetes", "Render"]
    assert all(len(row) == len(table["columns"]) for row in table["rows"])


def test_titles_fit_into_their_boxes_and_it_follows_the_readers_scheme() -> None:
    picture = ET.fromstring(PICTURE.read_text())
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(box.attrib["width"]) for box in picture.iter(f"{space}rect") if box.get("class") in
              {"part", "engine", "outside", "bus"}]  # fmt: skip
    assert len(widths) == len(SOURCE["box"])
    for width, box in zip(widths, SOURCE["box"], strict=True):
        assert len(box["title"]) * _LETTER <= width, box["title"]
    assert "prefers-color-scheme: dark" in PICTURE.read_text()
