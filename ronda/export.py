"""`ronda export`: all that is stored of one device as files in a folder, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cloud.storage.database import Database
from cloud.storage.device_pages import DevicePages
from cloud.storage.devices import DeviceRecord, DeviceStore
from cloud.storage.resolution import Span
from contract.names import split_address
from ronda.backups.whereabouts import database_of_running
from ronda.export_formats import Columns, ExportError, Format, Kind, table
from ronda.installation import folder_of
from ronda.parts import clock_ms
from ronda.settings import load_settings
from ronda.store import opened_store
from ronda.training.spans import moment_ms, shown

Say = Callable[[str], None]

_READING: dict[str, Kind] = {
    "measured_at_ms": Kind.WHOLE,
    "received_at_ms": Kind.WHOLE,
    "boot": Kind.TEXT,
    "seq": Kind.WHOLE,
    "replayed": Kind.TRUTH,
    "request_id": Kind.TEXT,
}
_ROLLED: dict[str, Kind] = {"from_ms": Kind.WHOLE, "readings": Kind.WHOLE}
_EACH = {"count": Kind.WHOLE, "min": Kind.NUMBER, "max": Kind.NUMBER, "mean": Kind.NUMBER}
_FIRST_MS, _LAST_MS = -(2**63), 2**63 - 1


async def run_export(
    data: Path | None, address: str, since: str | None, until: str | None, form: str, into: Path, say: Say
) -> None:
    """Write the folder `into/SITE.DEVICE`. Raises: RondaError in one line; then there is no such folder."""
    site, device = split_address(address)
    from_ms, to_ms = moment_ms(since, "--from"), moment_ms(until, "--to")
    span = Span(_FIRST_MS if from_ms is None else from_ms, _LAST_MS if to_ms is None else to_ms)
    settings = load_settings("export")
    url = database_of_running(settings, folder_of(settings, data))
    async with opened_store(url, settings) as database:
        known = await DeviceStore(database).get(site, device)
        if known is None:
            raise ExportError(f"there is no device {address}")
        folder = into / f"{site}.{device}"
        counts = await export(database, known, span, Format(form), folder, int(clock_ms()))
    say(f"{folder}: " + ", ".join(f"{rows:,} {name.partition('.')[0]}" for name, rows in counts.items()))


async def export(
    database: Database, known: DeviceRecord, span: Span, form: Format, folder: Path, now_ms: int
) -> dict[str, int]:
    """File → rows. What a run that was cut short left behind is thrown away."""
    with _whole(folder) as half:
        counts = await _write(DevicePages(database, known.site, known.device, span), known, form, half)
        about = _about(known, span, counts, now_ms)
        (half / "about.json").write_bytes(msgspec.json.format(msgspec.json.encode(about)) + b"\n")
    return counts


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside it, which takes its name when the block ends well and is thrown away when it does not."""
    if folder.exists():
        raise ExportError(f"{folder} is there already: move it away, or name another place with --into")
    half = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        yield half
        half.rename(folder)
    except OSError as error:
        raise ExportError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


async def _write(pages: DevicePages, known: DeviceRecord, form: Format, half: Path) -> dict[str, int]:
    names = [metric.name for metric in known.metrics or ()]
    counts = {f"readings.{form}": await _readings(pages, names, form, half / f"readings.{form}")}
    for what, stored in (("minutes", "readings_by_minute"), ("hours", "readings_by_hour")):
        file = f"{what}.{form}"
        # Of times whose readings are gone; as a rule there are none.
        if rows := await _rolled_up(pages, stored, names, form, half / file):
            counts[file] = rows
        else:
            (half / file).unlink()
    counts["anomalies.jsonl"] = await _anomalies(pages, half / "anomalies.jsonl")
    verdicts = [row._asdict() for row in await pages.verdicts()]
    (half / "verdicts.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(verdicts))
    return counts | {"verdicts.jsonl": len(verdicts)}


async def _readings(pages: DevicePages, names: Sequence[str], form: Format, path: Path) -> int:
    rows = 0
    with table(path, form, columns(_READING, names)) as file:
        async for block in pages.readings():
            # A sensor that was added since the export began is left to the next one.
            own = [getattr(block, name) for name in _READING]
            file.write([*own, *block.values[: len(names)]])
            rows += len(block)
    return rows


async def _rolled_up(pages: DevicePages, stored: str, names: Sequence[str], form: Format, path: Path) -> int:
    rows = 0
    wanted = {f"{name}_{each}": kind for name in names for each, kind in _EACH.items()}
    with table(path, form, _ROLLED | wanted) as file:
        async for page in pages.rolled_up(stored):
            file.write(list(zip(*(_flat(row, len(names)) for row in page), strict=True)))
            rows += len(page)
    return rows


def _flat(row: Any, width: int) -> list[Any]:
    """One minute or hour: count, lowest, highest and mean of each metric."""
    flat = [row.from_ms, row.readings]
    for at in range(width):
        count = row.counts[at] if at < len(row.counts) else 0
        flat += [count, row.lows[at], row.highs[at], row.sums[at] / count] if count else [0, None, None, None]
    return flat


async def _anomalies(pages: DevicePages, path: Path) -> int:
    rows, encode = 0, msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:
        async for page in pages.anomalies():
            file.write(encode([{"raised": row.event, "latest": row.latest} for row in page]))
            rows += len(page)
    return rows


def columns(ours: Columns, names: Iterable[str]) -> dict[str, Kind]:
    """Our own columns, then the metrics; one that is called like a column of ours gets a `_` behind it."""
    found = dict(ours)
    for name in names:
        free = name
        while free in found:
            free += "_"
        found[free] = Kind.NUMBER
    return found


def _about(known: DeviceRecord, span: Span, counts: dict[str, int], now_ms: int) -> dict[str, Any]:
    return {
        "device": msgspec.to_builtins(known),
        "from": None if span.from_ms == _FIRST_MS else shown(span.from_ms),
        "to": None if span.to_ms == _LAST_MS else shown(span.to_ms),
        "exported_at": shown(now_ms),
        "rows": counts,
    }
