"""No module lies about unused: each is reached from the command or from an entry point that is listed with a reason."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import grimp
import pytest

from tests.repository.tree import PACKAGES

LISTED = Path(__file__).parent / "entry_points.txt"
COMMAND = "ronda.cli"


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


@cache
def entry_points() -> dict[str, str]:
    lines = (line.strip() for line in LISTED.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {module: reason.strip() for module, _, reason in pairs}


def started_by(module: str) -> set[str]:
    """The listed name itself, or for `package.*` every module below it."""
    if not module.endswith(".*"):
        return {module}
    return graph().find_descendants(module.removesuffix(".*"))


def reachable(starts: set[str]) -> set[str]:
    """All that is imported on the way, the packages around each module included."""
    reached: set[str] = set()
    waiting = [start for start in starts if start in graph().modules]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph().find_modules_directly_imported_by(module)
            if "." in module:
                waiting.append(module.rpartition(".")[0])
    return reached


def test_every_module_is_reached_from_an_entry_point() -> None:
    starts = {COMMAND}.union(*(started_by(module) for module in entry_points()))
    assert sorted(graph().modules - reachable(starts)) == []


def test_every_entry_point_exists_and_has_a_reason() -> None:
    for module, reason in entry_points().items():
        assert reason, module
        assert started_by(module) & graph().modules, f"{module} is not there any more"


@pytest.mark.parametrize("module", entry_points())
def test_an_entry_point_is_listed_only_where_nothing_imports_it(module: str) -> None:
    others = {COMMAND}.union(*(started_by(other) for other in entry_points() if other != module))
    assert not started_by(module) <= reachable(others)
