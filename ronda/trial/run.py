"""From a file to a page: what `ronda try` does."""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ronda.trial.comparison import Comparison, compared
from ronda.trial.errors import TrialError
from ronda.trial.example import emulated
from ronda.trial.page.document import page
from ronda.trial.printed import as_json, lines
from ronda.trial.recording import recorded
from ronda.trial.search import Trial, tried
from ronda.trial.source import size
from ronda.trial.words import LANGUAGES, NO_BREAK, Words

# Such a file takes longer than a person waits without a word.
_LARGE_BYTES = 50_000_000


def run_trial(
    file: Path | None,
    *,
    learn: str | None,
    sensitivity: float | None,
    out: Path | None,
    language: str,
    json: bool,
    look: bool,
    tell: Callable[[str], None],
) -> None:
    """Read, learn, find, write the page, and say so line by line. Raises: TrialError in one line."""
    if language not in LANGUAGES:
        raise TrialError(f"--language {language}: the page speaks {' and '.join(LANGUAGES)}")
    _check_out(out, file)
    began = time.perf_counter()
    now_ms = time.time_ns() // 1_000_000
    if file is not None and file.is_file() and size(file) > _LARGE_BYTES:
        print(f"Reading {file}, {size(file) / 1e6:,.0f} MB", file=sys.stderr)
    recording = emulated(now_ms) if file is None else recorded(file, now_ms=now_ms)
    trial = tried(recording, learn=learn, sensitivity=sensitivity)
    comparison = compared(trial)
    say = Words(language, recording.zone, elapsed=recording.elapsed)
    target = _written(out or Path(f"{_stem(recording.name)}.ronda.html"), trial, comparison, say)
    if json:
        tell(as_json(trial, comparison, str(target)).decode())
    else:
        seconds = say.fixed(time.perf_counter() - began, 1)
        for line in (
            *lines(trial, comparison, say),
            say("Page: {path} ({seconds} s)", path=str(target), seconds=seconds),
        ):
            # A terminal wraps as it likes, and a person searches its text for plain spaces.
            tell(line.replace(NO_BREAK, " "))
    if look:
        webbrowser.open(target.resolve().as_uri())


def _check_out(out: Path | None, file: Path | None) -> None:
    """Nobody's recording is written over. Raises: TrialError."""
    if out is not None and file is not None and out.exists() and file.exists() and out.samefile(file):
        raise TrialError(f"--out {out}: this is the recording itself; choose another place for the page")


def _written(target: Path, trial: Trial, comparison: Comparison | None, say: Words) -> Path:
    called = " ".join(["ronda", *sys.argv[1:]])
    text = page(trial, comparison, say, made_by=f"Ronda {version('ronda')} ({called})")
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrialError(
            f"{target}: the page cannot be written ({error.strerror}); choose another place with --out"
        ) from error
    return target


def _stem(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".csv").removesuffix(".txt") or "trial"
