"""Try the gates, say each line as it is known, and end with 1 when one has failed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ronda.checks import documents, service, state
from ronda.checks.api import Door
from ronda.checks.golden_path import GoldenPath
from ronda.checks.line import Check, Line, Result, tried
from ronda.installation import InstallationError, folder_of
from ronda.parts import Surroundings
from ronda.settings import load_settings

GATES = {
    "P1": "the state is kept",
    "P2": "the golden path, end to end",
    "P3": "healthy, guarded and quick enough",
    "P4": "documents and evidence",
}
_MARKS = {Result.PASS: "pass ", Result.FAIL: "FAIL ", Result.NEEDS_ACCOUNT: "needs"}


async def run_check(data: Path | None, gates: Sequence[str], repository: Path, *, as_json: bool) -> None:
    """Look at what the settings, or the running installation in `data`, name. Exits with 1 when a line failed."""
    if unknown := [gate for gate in gates if gate not in GATES]:
        raise InstallationError(f"there is no gate {unknown[0]!r}; there are {', '.join(GATES)}")
    around = Surroundings("check", folder_of(load_settings("check"), data))
    lines: list[Line] = []
    for gate in gates or GATES:
        if not as_json:
            print(f"{gate}  {GATES[gate]}")
        for name, check in _checks(gate, around, repository).items():
            lines.append(await tried(gate, name, check))
            if not as_json:
                print("\n".join(_told(lines[-1])), flush=True)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(summary(lines))).decode())
    elif not any(line.result is Result.FAIL for line in lines):
        print("nothing failed")
    if any(line.result is Result.FAIL for line in lines):
        sys.exit(1)


def summary(lines: Sequence[Line]) -> dict[str, object]:
    """`{pass, fail, needs_account, lines}`."""
    count = {result: sum(line.result is result for line in lines) for result in Result}
    return {
        "pass": count[Result.PASS],
        "fail": count[Result.FAIL],
        "needs_account": count[Result.NEEDS_ACCOUNT],
        "lines": lines,
    }


def _checks(gate: str, around: Surroundings, repository: Path) -> Mapping[str, Check]:
    door = Door(around)
    if gate == "P1":
        return state.checks(around)
    if gate == "P2":
        return GoldenPath(door).checks()
    return service.checks(door) if gate == "P3" else documents.checks(door, repository)


def _told(line: Line) -> Iterator[str]:
    yield f"  {_MARKS[line.result]}  {line.name}: {line.said}"
    if line.result is Result.NEEDS_ACCOUNT:
        yield f"         needs an account: {line.todo}"
    elif line.todo:
        yield f"         {line.todo}"
