"""The emulated machines of an installation, and a recording played into it as a machine of its own."""

from __future__ import annotations

import re
from pathlib import Path

from contract.names import check_device
from edge.fleet import run_fleet
from edge.recording import read_recording
from edge.replay import Outcome, Progress, check_speed
from edge.replay import run_replay as play
from ronda.ask import as_admin
from ronda.fleet import SITE
from ronda.installation import Installation, InstallationError
from ronda.parts import Surroundings

_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


async def run_emulation(data: Path) -> None:
    """Run the machines of the fleet file until told to stop."""
    around = Surroundings("emulator", data)
    installation = Installation(data)
    await run_fleet(installation.fleet, around.broker(), installation.emulator / "devices")


async def run_replay(data: Path, recording: Path, device: str | None, learn_rows: int, speed: float) -> None:
    """Add a device for the recording and play it; tells what became of each row.

    Raises: InstallationError when rows are unaccounted for at the end, or the device is there already.
    """
    check_speed(speed)
    rows = len(read_recording(recording).rows)
    if rows <= learn_rows:
        raise InstallationError(f"{recording} has {rows} usable rows: too few to learn from {learn_rows} of them")
    around = Surroundings("replay", data)
    async with as_admin(data) as client:
        taken = {item["device"] for item in (await client.devices(site=SITE))["items"]}
        name = _free_name(recording, taken) if device is None else _asked_name(device, taken)
        added = await client.add_device(SITE, name, origin="replay", learn_rows=learn_rows)
    print(f"{recording} plays as {SITE}/{name}: {rows} rows at {speed:g} times real speed, learning from {learn_rows}")
    outcome = await play(
        recording,
        around.broker(),
        site=SITE,
        device=name,
        username=added["username"],
        password=added["password"],
        speed=speed,
        progress=_tell,
    )
    _tell_end(outcome)


def _asked_name(device: str, taken: set[str]) -> str:
    if check_device(device) in taken:
        raise InstallationError(f"{SITE}/{device} is there already; a recording needs a new name, see --device")
    return device


def _free_name(recording: Path, taken: set[str]) -> str:
    """`valve2/0.csv` → valve2-0, or valve2-0-2 when that was played before."""
    stem = _NO_NAME.sub("-", f"{recording.absolute().parent.name}-{recording.stem}").strip("-")[:56] or "recording"
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _tell(progress: Progress) -> None:
    print(f"  sent {progress.sent:>6} of {progress.rows}, stored or refused {progress.accounted:>6}", flush=True)


def _tell_end(outcome: Outcome) -> None:
    for reason, count in outcome.skipped.items():
        print(f"  left out: {count} with {reason}")
    if outcome.ignored:
        print(f"  columns not played: {', '.join(outcome.ignored)}")
    if outcome.unaccounted:
        raise InstallationError(
            f"{outcome.unaccounted} of {outcome.sent} rows were sent but not confirmed by the store"
        )
    print(f"all {outcome.sent} rows are accounted for")
