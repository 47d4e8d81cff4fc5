"""What was done, when, and how long it took: read by people, kept as evidence."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]


class Transcript:
    """Says each line at once and remembers it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: list[str] = []

    def head(self, text: str) -> None:
        """A line without a time, and without the names of this machine's folders."""
        text = text.replace(f"{_ROOT}/", "")
        self._lines.append(text)
        print(text, flush=True)

    def say(self, text: str) -> None:
        """A line with the seconds since the beginning."""
        self.head(f"{time.monotonic() - self._began:7.1f} s  {text}")

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """What is done within, with its duration at the end."""
        self.head("")
        self.say(title)
        began = time.monotonic()
        yield
        self.say(f"  done in {time.monotonic() - began:.1f} s")

    def keep(self, file: Path) -> None:
        """Write everything that was said."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
