"""Who belongs to the emulated fleet: the file that lists the devices with their credentials."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

import msgspec

from contract.errors import ContractError, RondaError
from contract.names import check_device, check_site
from edge.live import PlannedFault
from edge.past import HISTORY_ROWS
from edge.schedule import Pattern


class FleetFileError(RondaError):
    """The fleet's file cannot be used; says what is wrong with it."""


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One emulated device and its credentials.

    `prepare`: a demonstration pump that back-fills its healthy past by itself. `history_rows`: length of that past in
    seconds. `seed` 0 or more; without one it follows from the name. `duty`: how it is run over the week; without one
    always at rated speed.
    """

    site: str
    device: str
    username: str
    password: str
    role: Literal["pump", "demo"] = "pump"
    prepare: bool = False
    seed: int | None = None
    duty: Pattern | None = None
    history_rows: int = HISTORY_ROWS
    faults: list[PlannedFault] = []

    @property
    def name(self) -> str:
        """`site/device`."""
        return f"{self.site}/{self.device}"

    @property
    def own_seed(self) -> int:
        """What makes this machine different from the next one, the same at every start."""
        return zlib.crc32(self.name.encode()) if self.seed is None else self.seed

    @property
    def phase_ms(self) -> int:
        """When within a second it measures, 0 to 999: fleets whose members all speak at once are not met in plants."""
        return zlib.crc32(f"{self.name} phase".encode()) % 1000

    def __repr__(self) -> str:
        return f"Member({self.name}, {self.role})"


def read_fleet(path: Path) -> list[Member]:
    """The members, in the file's order. Raises: FleetFileError."""
    try:
        members = msgspec.json.decode(path.read_bytes(), type=list[Member])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetFileError(f"cannot use the fleet's file {path}: {error}") from error
    for member in members:
        _check(path, member)
    if len({member.name for member in members}) < len(members):
        raise FleetFileError(f"cannot use the fleet's file {path}: a device stands in it twice")
    return members


def _check(path: Path, member: Member) -> None:
    try:
        check_site(member.site)
        check_device(member.device)
    except ContractError as error:
        raise FleetFileError(f"cannot use the fleet's file {path}: {error}") from error
    if not 0 <= member.own_seed < 2**63 or not 0 <= member.history_rows <= 86_400:
        raise FleetFileError(f"cannot use the fleet's file {path}: {member.name} has an impossible seed or history")
