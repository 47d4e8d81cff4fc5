"""Collect the facts, say what is wrong, and end with 1 when something is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from cloud.api.shown_bytes import escaped
from cloud.api.times import iso
from ronda.doctor import of_parts, of_readings
from ronda.doctor.facts import Facts
from ronda.doctor.finding import Finding
from ronda.doctor.look_broker import look_at_broker
from ronda.doctor.look_parts import (
    disk_folder,
    last_count,
    look_at_api,
    look_at_disk,
    look_at_mail,
    look_at_processes,
    look_at_registry,
)
from ronda.doctor.look_store import look_at_store
from ronda.installation import InstallationError, folder_of
from ronda.parts import Surroundings, clock_ms
from ronda.settings import load_settings

# In the order in which a person should mend: what the others stand on comes first.
CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    of_parts.processes,
    of_parts.disk,
    of_parts.database,
    of_parts.broker,
    of_parts.agents,
    of_parts.others,
    of_readings.historian,
    of_readings.watermarks,
    of_readings.outbox,
    of_readings.told,
    of_readings.quarantine,
    of_readings.models,
    of_readings.clocks,
    of_readings.silence,
)
# The broker says so once a minute.
_COUNTED_WITHIN_MS = 3 * 60_000


async def run_doctor(data: Path | None, *, as_json: bool) -> None:
    """Look at what the settings, or the running installation in `data`, name. Exits with 1 when something is wrong."""
    folder = folder_of(load_settings("doctor"), data)
    try:
        found = findings(await look(Surroundings("doctor", folder)))
    except InstallationError as error:
        found = [
            Finding(check="parts", about=str(folder), what=str(error), todo="ronda up, with this folder as --data")
        ]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode({"well": not found, "findings": found})).decode())
    else:
        print("\n".join(told(found)))
    if found:
        sys.exit(1)


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong, in the order in which to mend it."""
    return [finding for check in CHECKS for finding in check(facts)]


async def look(around: Surroundings) -> Facts:
    """All facts; each is given up after seconds, so that what is away does not hide the rest."""
    runtime, installation, now_ms = around.runtime, around.installation, int(clock_ms())
    folder = disk_folder(installation, around.settings)
    store, (broker, probe), api, registry, mail = await asyncio.gather(
        look_at_store(runtime.database_url, now_ms),
        look_at_broker(around),
        look_at_api(around),
        look_at_registry(runtime.tracking_uri),
        look_at_mail(runtime),
    )
    counted = None if installation is None else last_count(installation, now_ms - _COUNTED_WITHIN_MS)
    return Facts(
        now_ms=now_ms,
        agents=runtime.agents,
        processes=None if installation is None else look_at_processes(installation, runtime, now_ms),
        disk=None if folder is None else look_at_disk(folder),
        store=store,
        broker=msgspec.structs.replace(broker, count=counted),
        api=api,
        registry=registry,
        mail=mail,
        probe=probe,
        most_quarantined=around.settings.quarantine_max_entries,
    )


def told(found: Sequence[Finding]) -> Iterator[str]:
    """As a person reads it; what strangers named themselves is made harmless."""
    if not found:
        yield "nothing is wrong"
    for each in found:
        since = "" if each.since_ms is None else f" (since {iso(each.since_ms)})"
        yield f"{each.check:<13} {escaped(each.about)}: {escaped(each.what)}{since}"
        yield f"{'':<13} → {escaped(each.todo)}"
