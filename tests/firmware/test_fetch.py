"""Fetching MicroPython: from the machine's own mirror, and with a clear word when that is not possible."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firmware import micropython
from firmware.micropython import FetchError, mirror


def test_the_mirror_is_that_of_the_machine() -> None:
    targets = "http://mirror/debian-security/ bookworm-security\nhttp://mirror/debian/ bookworm\nhttp://x/debian/ sid\n"
    assert mirror(targets) == "http://mirror/debian/"


@pytest.mark.parametrize("targets", ["", "http://archive/ubuntu/ jammy\n", "http://mirror/debian bookworm-security\n"])
def test_without_a_mirror_it_says_so(targets: str) -> None:
    with pytest.raises(FetchError, match="no Debian mirror"):
        mirror(targets)


def test_offline_it_says_what_failed_and_leaves_nothing_half(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(micropython, "_TRIES", 0)
    monkeypatch.setattr(micropython, "mirror", lambda _: "http://127.0.0.1:1/debian/")
    with pytest.raises(FetchError) as failure:
        micropython.command(tmp_path)
    said = str(failure.value)
    assert said.startswith("`apt-get update` failed; MicroPython is fetched once, from Debian's mirror, and needs")
    assert "http://127.0.0.1:1/debian" in said
    assert list(tmp_path.iterdir()) == []


def test_another_kind_of_machine_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(FetchError, match="runs on Intel and AMD machines, not on aarch64"):
        micropython.command(tmp_path)


def test_it_is_the_build_with_integers_like_the_chips(micropython: list[str]) -> None:
    ask = "import sys; print(sys.maxsize, sys.implementation.version)"
    said = subprocess.run([*micropython, "-c", ask], capture_output=True, text=True, check=True, timeout=30).stdout
    assert said.startswith("2147483647 (1, ")
