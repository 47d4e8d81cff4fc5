"""What a device can be told on `command`, and what it answers on `command/result`."""

from __future__ import annotations

import msgspec

from contract.errors import RondaError
from contract.names import is_correlation_id
from edge.faults import FaultKind

# A live fault or stop is a demonstration, not a way to keep a pump broken: an hour at most.
MAX_SECONDS = 3600
HEALTHY = "none"


class Simulate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Live through a minute with this fault, or a healthy one with `none`."""

    fault: str = FaultKind.BEARING_WEAR

    @property
    def kind(self) -> FaultKind | None:
        """The fault, or None for `none`. Raises: ValueError for an unknown one."""
        return None if self.fault == HEALTHY else FaultKind(self.fault)


class LiveFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Develop a fault now, for so many seconds."""

    kind: FaultKind
    seconds: float


class PlannedStop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Switch the pump off for so many seconds, then start it again."""

    seconds: float


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order, told once by its `id`; exactly one of the others is given."""

    id: str
    simulate: Simulate | None = None
    prepare: bool = False
    fault: LiveFault | None = None
    stop: PlannedStop | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The order was carried out: how many readings came of it, when they left and when the broker had them all."""

    id: str
    readings: int
    published_at_ms: int
    acknowledged_at_ms: int


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The order was not carried out: a code and a sentence. `id` is None where none could be read."""

    id: str | None
    refused: str
    detail: str


class CommandError(RondaError):
    """An order that this device will not carry out; carries its answer."""

    def __init__(self, command_id: str | None, refused: str, detail: str) -> None:
        super().__init__(detail)
        self.answer = Refused(id=command_id, refused=refused, detail=detail)


class _Id(msgspec.Struct):
    id: str | None = None


def decode(payload: bytes) -> Command:
    """Read an order. Raises: CommandError with the answer to give."""
    command_id = _readable_id(payload)
    try:
        command = msgspec.json.decode(payload, type=Command)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(command_id, "malformed", f"not a command: {error}") from error
    if command_id is None:
        raise CommandError(None, "malformed", "the id must be 1 to 128 of letters, digits and '._:-'")
    orders = [name for name in ("simulate", "prepare", "fault", "stop") if getattr(command, name)]
    if len(orders) != 1:
        raise CommandError(command_id, "malformed", "give exactly one of simulate, prepare, fault and stop")
    _check(command)
    return command


def _check(command: Command) -> None:
    if command.simulate and command.simulate.fault not in (HEALTHY, *FaultKind):
        known = ", ".join((*FaultKind, HEALTHY))
        raise CommandError(command.id, "unknown_fault", f"{command.simulate.fault[:80]!r} is none of: {known}")
    lasting = command.fault or command.stop
    if lasting and not 0 < lasting.seconds <= MAX_SECONDS:
        raise CommandError(command.id, "malformed", f"seconds must be above 0 and at most {MAX_SECONDS}")


def _readable_id(payload: bytes) -> str | None:
    try:
        found = msgspec.json.decode(payload, type=_Id).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found is not None and is_correlation_id(found) else None
