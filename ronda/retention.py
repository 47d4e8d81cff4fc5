"""`ronda retention`: what is older than it is kept, shown, or taken away now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cloud.storage.retention import Keep, Old, Outcome, Retention
from ronda.backups.whereabouts import database_of_running
from ronda.installation import folder_of
from ronda.parts import clock_ms
from ronda.settings import load_settings
from ronda.store import opened_store
from ronda.upkeep import add_up, keep_of


async def run_retention(data: Path | None, *, apply: bool) -> None:
    """Print one line a month; with `apply`, what became of each. Raises: RondaError when the database is away."""
    settings = load_settings("retention")
    url = database_of_running(settings, folder_of(settings, data))
    keep, now_ms = keep_of(settings), int(clock_ms())
    print(kept(keep))
    async with opened_store(url, settings) as database:
        retention = Retention(database)
        if not apply:
            lines = [line(old) for old in await retention.old(keep, now_ms)]
            print("\n".join(lines) if lines else "nothing is older")
            if lines:
                print("it goes within hours by itself, or now with --apply")
            return
        await add_up(database)
        print("\n".join(outcomes(await retention.apply(keep, now_ms))) or "nothing is older")


def kept(keep: Keep) -> str:
    """`readings are kept 90 days, minutes 730 days, hours for ever`."""
    names = ("readings are kept", "minutes", "hours")
    return ", ".join(f"{name} {f'{days} days' if days else 'for ever'}" for name, days in zip(names, keep, strict=True))


def line(old: Old) -> str:
    """One line: what, from when to when, about how many rows."""
    return f"{old.what:<9} {_day(old.from_ms)} to {_day(old.end_ms)}  {old.rows:>14,} rows"


def outcomes(found: Iterable[Outcome]) -> list[str]:
    """One line each, with what became of it."""
    return [f"{line(outcome.old)}  {outcome.fate}" for outcome in found]


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
