"""A diagram as what it is electrically: which pins are one piece of metal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wokwi.parts import BOARD, GROUND, MONITOR, PARTS, RESISTOR, SUPPLY, Part

# For a wire of one thermometer and a few metres; the data sheet draws 4.7 kΩ.
_PULL_UP_OHM = (1_000, 10_000)
# What Wokwi takes for a resistor without a value.
_USUAL_OHM = "1000"


class Fault(NamedTuple):
    """What is wrong: the rule's name, and a sentence that says where."""

    rule: str
    text: str


class Circuit:
    """The wiring of one diagram; `own` are the chips that the diagram's folder brings, by their part type."""

    def __init__(self, diagram: Mapping[str, Any], own: Mapping[str, Part]) -> None:
        self._parts: Sequence[Mapping[str, Any]] = diagram["parts"]
        self._wires: list[tuple[str, str]] = [(wire[0], wire[1]) for wire in diagram["connections"]]
        self._known = {**PARTS, **own}
        self._types = {MONITOR: MONITOR, **{part["id"]: part["type"] for part in self._parts}}
        self._nets = _nets([*self._wires, *self._inside_the_board()])

    def part(self, identity: str) -> Part | None:
        """The part of this id, if it is one that is known."""
        return self._known.get(self._types.get(identity, ""))

    def faults(self, pins: Mapping[str, int]) -> Iterator[Fault]:
        """Everything that is wrong; `pins` are those of the firmware's configuration."""
        yield from self._names()
        boards = [identity for identity, kind in self._types.items() if kind == BOARD]
        if len(boards) != 1:
            yield Fault("board", f"there are {len(boards)} boards of type {BOARD}, and there must be one")
            return
        yield from self._monitor(boards[0])
        yield from self._power(boards[0])
        yield from self._bus(boards[0], pins)

    def _names(self) -> Iterator[Fault]:
        identities = [part["id"] for part in self._parts]
        for identity in sorted({one for one in identities if identities.count(one) > 1}):
            yield Fault("id-twice", f"two parts are called {identity}")
        for part in self._parts:
            if part["type"] not in self._known:
                yield Fault("unknown-part", f"{part['id']} is a {part['type']}, which is not in the table of parts")
        for pin in dict.fromkeys(end for wire in self._wires for end in wire):
            identity, _, name = pin.partition(":")
            known = self.part(identity)
            if identity not in self._types or (known and name not in known.pins):
                yield Fault("unknown-pin", f"a wire ends at {pin}, which there is not")

    def _monitor(self, board: str) -> Iterator[Fault]:
        for ours, theirs in (("TX", "RX"), ("RX", "TX")):
            if not self._joined(f"{board}:{ours}", f"{MONITOR}:{theirs}"):
                yield Fault("serial-monitor", f"{board}:{ours} has to be connected to {MONITOR}:{theirs}")

    def _power(self, board: str) -> Iterator[Fault]:
        plus, minus = f"{board}:{SUPPLY}", f"{board}:{GROUND[0]}"
        if self._joined(plus, minus):
            yield Fault("short-circuit", f"{SUPPLY} and ground are one wire")
            return
        for identity, part in self._sensors():
            if not self._joined(f"{identity}:VCC", plus):
                yield Fault("no-supply", f"{identity}:VCC is not connected to {plus}")
            if not self._joined(f"{identity}:GND", minus):
                yield Fault("no-ground", f"{identity}:GND is not connected to ground")
            if "ds18b20" in part.bus.values() and not self._pulled_up(f"{identity}:DQ", plus):
                yield Fault("no-pull-up", f"{identity}:DQ needs a resistor of 1 to 10 kΩ to {plus}")

    def _bus(self, board: str, pins: Mapping[str, int]) -> Iterator[Fault]:
        there = {
            function: f"{identity}:{pin}" for identity, part in self._sensors() for pin, function in part.bus.items()
        }
        for function, number in pins.items():
            if function not in there:
                yield Fault("no-sensor", f"the firmware wants something on pin {number} ({function}); nothing is there")
            elif not self._joined(there[function], f"{board}:{number}"):
                yield Fault("wrong-pin", f"{there[function]} is not on pin {number}, where the firmware has {function}")

    def _sensors(self) -> Iterator[tuple[str, Part]]:
        for part in self._parts:
            known = self.part(part["id"])
            if known and known.powered:
                yield part["id"], known

    def _pulled_up(self, line: str, plus: str) -> bool:
        ends = [
            (f"{part['id']}:1", f"{part['id']}:2")
            for part in self._parts
            if part["type"] == RESISTOR
            and _PULL_UP_OHM[0] <= float(part["attrs"].get("value", _USUAL_OHM)) <= _PULL_UP_OHM[1]
        ]
        ways = [*ends, *((other, one) for one, other in ends)]
        return any(self._joined(one, line) and self._joined(other, plus) for one, other in ways)

    def _joined(self, one: str, other: str) -> bool:
        return one == other or (one in self._nets and self._nets[one] is self._nets.get(other))

    def _inside_the_board(self) -> Iterator[tuple[str, str]]:
        for identity, kind in self._types.items():
            if kind == BOARD:
                yield from ((f"{identity}:{GROUND[0]}", f"{identity}:{other}") for other in GROUND[1:])


def _nets(wires: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Each pin, and all the pins that it is connected with."""
    nets: dict[str, set[str]] = {}
    for one, other in wires:
        joined = nets.get(one, {one}) | nets.get(other, {other})
        for pin in joined:
            nets[pin] = joined
    return nets
