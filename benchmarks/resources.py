"""What processes take of a machine: CPU between two looks, and memory with what is shared counted once (PSS)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec
import psutil

from benchmarks.places import POSTGRESQL

_MEGABYTE = 1_000_000


class Used(msgspec.Struct, frozen=True):
    """One process: `cores` of CPU on average, and MB of memory."""

    cores: float
    pss_mb: float


class Look:
    """Remembers where each process stood; PostgreSQL works in its children, which come and go."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = processes
        self._before = {name: cpu_s(name, process) for name, process in processes.items()}

    def since(self, seconds: float) -> dict[str, Used]:
        """What each took in the `seconds` since this look."""
        return {
            name: Used((cpu_s(name, process) - self._before[name]) / seconds, pss_mb(name, process))
            for name, process in self._processes.items()
        }


def cpu_s(name: str, process: psutil.Process) -> float:
    """Seconds of CPU so far, those of children that have ended included."""
    found = 0.0
    for each in _family(name, process):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            found += times.user + times.system
    if name == POSTGRESQL:
        times = process.cpu_times()
        found += times.children_user + times.children_system
    return found


def pss_mb(name: str, process: psutil.Process) -> float:
    """MB now: a page that several processes share counts for each by its share."""
    found = 0
    for each in _family(name, process):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += each.memory_full_info().pss
    return found / _MEGABYTE


def table(used: Mapping[str, Used]) -> list[str]:
    """One line each, and the sum."""
    lines = [f"{'':<12}{'CPU cores':>10}{'PSS MB':>9}"]
    total = Used(sum(each.cores for each in used.values()), sum(each.pss_mb for each in used.values()))
    for name, each in {**used, "all": total}.items():
        lines.append(f"{name:<12}{each.cores:>10.2f}{each.pss_mb:>9.0f}")
    return lines


def _family(name: str, process: psutil.Process) -> list[psutil.Process]:
    return [process, *(process.children() if name == POSTGRESQL else ())]
