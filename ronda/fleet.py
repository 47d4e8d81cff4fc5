"""The emulated machines of `ronda up`: which there are, and their credentials on the broker."""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from broker.credentials import Credentials
from ronda.installation import Installation, write_private

SITE = "plant-1"
# Machines for the demonstration: each click wears one out for the length of the cooldown, so there can be one every
# 20 s. Who was never used is an idle connection: 18 of them cost the emulator 0.9 MB and the broker 0.5 MB (measured).
DEMOS = 30
# Kept rested and learned, so that the next click does not wait for a model.
RESTED = 3


class Machine(msgspec.Struct, kw_only=True):
    """One entry of the fleet file, as `edge.fleet` reads it."""

    site: str
    device: str
    username: str
    password: str
    role: Literal["pump", "demo"]
    seed: int
    prepare: bool = False


def write_fleet(installation: Installation, pumps: int | None) -> None:
    """Write the fleet file for `pumps` machines and the demonstration's, and let each of them in on our broker.

    None: there are no emulated machines at all.
    """
    if pumps is None:
        write_private(installation.fleet, b"[]")
        return
    known = {machine.device: machine for machine in read_fleet(installation)}
    machines = [_machine(f"pump-{number:02d}", "pump", known) for number in range(1, pumps + 1)]
    machines += [_machine(f"demo-{number}", "demo", known, prepare=number <= RESTED) for number in range(1, DEMOS + 1)]
    Credentials(installation.passwd).set_all({machine.username: machine.password for machine in machines})
    write_private(installation.fleet, msgspec.json.format(msgspec.json.encode(machines)))


def read_fleet(installation: Installation) -> list[Machine]:
    """The machines of the last start; none before the first."""
    if not installation.fleet.exists():
        return []
    return msgspec.json.decode(installation.fleet.read_bytes(), type=list[Machine])


def _machine(
    device: str, role: Literal["pump", "demo"], known: dict[str, Machine], *, prepare: bool = False
) -> Machine:
    if device in known:
        return known[device]
    return Machine(
        site=SITE,
        device=device,
        username=f"{SITE}/{device}",
        password=Credentials.new_password(),
        role=role,
        seed=zlib.crc32(f"{SITE}/{device}".encode()),
        prepare=prepare,
    )
