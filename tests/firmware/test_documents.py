"""The pages on the device are true: links lead somewhere, named tests exist, the log is of this very firmware."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from firmware.generate import ESP32, MANIFEST
from tests.firmware.serial_log import FOLDER, LOG, PICTURE, picture

HERE = Path(__file__).parent


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    titles = {_anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= titles


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_every_proof_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert named
    assert named <= {path.name for path in HERE.glob("test_*.py")}


def test_the_serial_log_is_labelled_and_was_printed_by_the_firmware_that_is_shipped() -> None:
    text = LOG.read_text(encoding="utf-8")
    assert "not a log of a chip" in text.splitlines()[0]
    shipped = hashlib.sha256((ESP32 / MANIFEST).read_bytes()).hexdigest()[:12]
    assert re.findall(r"firmware (\w+)$", text, re.MULTILINE) == [shipped], "run: python -m tests.firmware.serial_log"


def test_the_picture_shows_the_log() -> None:
    lines = [line for line in LOG.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert PICTURE.read_text(encoding="utf-8") == picture(lines)


def test_the_settings_of_the_page_are_those_of_the_firmware() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    code = (ESP32 / "lib" / "config.py").read_text(encoding="utf-8")
    settings = re.findall(r'^    "(\w+)": \(', code, re.MULTILINE)
    assert len(settings) == 4
    assert all(f"`{name}` (" in page for name in settings)
