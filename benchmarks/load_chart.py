"""The load proof as a picture: what was asked and answered, second by second, with the hardware and the date."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The roadmap's own figure.
ASKED_PER_S = 103
_INK, _MUTED, _GRID = "#1d2733", "#5b6b7b", "#dfe5ea"
_RATE, _FAILED = "#0b7a75", "#c0392b"
# For each way its 95th percentile and its median.
_LATENCIES = (("#d98324", "#ecc08f"), ("#3f88c5", "#a3c8e6"))


class Second(msgspec.Struct, frozen=True):
    """One row of Locust's history: requests and failures a second, and latency in ms over the last ten seconds."""

    at_s: int
    requests_per_s: float
    failures_per_s: float
    p50_ms: float
    p95_ms: float


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One script: its two lines of title, its load, and the latencies to draw, by what they are the way to."""

    title: str
    result: str
    load: Sequence[Second]
    latencies: Mapping[str, Sequence[Second]]


def read_history(path: Path, name: str) -> list[Second]:
    """The rows called `name` of `…_stats_history.csv`, from the first second on."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == name]
    begin = int(rows[0]["Timestamp"]) if rows else 0
    return [
        Second(
            int(row["Timestamp"]) - begin,
            float(row["Requests/s"]),
            float(row["Failures/s"]),
            _number(row["50%"]),
            _number(row["95%"]),
        )
        for row in rows
    ]


def draw(panels: Sequence[Panel], machine: str, path: Path) -> None:
    """One column a script: above the rate beside what is asked, below the latency."""
    figure = Figure(figsize=(10, 5.6), dpi=110, facecolor="white")
    axes = figure.subplots(2, len(panels), squeeze=False, sharex="col", height_ratios=[3, 2])
    for column, panel in enumerate(panels):
        _rate(axes[0][column], panel)
        _latency(axes[1][column], panel)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.86, bottom=0.14, wspace=0.16, hspace=0.18)
    figure.text(0.07, 0.02, machine, color=_MUTED, fontsize=8)
    figure.savefig(path)


def _rate(axes: Axes, panel: Panel) -> None:
    at = [each.at_s for each in panel.load]
    rates = [each.requests_per_s for each in panel.load]
    axes.fill_between(at, rates, color=_RATE, alpha=0.12, linewidth=0)
    axes.plot(at, rates, color=_RATE, linewidth=1.8)
    axes.axhline(ASKED_PER_S, color=_MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(at[-1], ASKED_PER_S, f"asked: {ASKED_PER_S}/s", ha="right", va="bottom", color=_MUTED, fontsize=8)
    failed = [each.at_s for each in panel.load if each.failures_per_s]
    axes.plot(failed, [0] * len(failed), "x", color=_FAILED, clip_on=False)
    axes.set_title(f"{panel.title}\n", loc="left", color=_INK, fontsize=12, fontweight="bold")
    axes.text(0, 1.04, panel.result, transform=axes.transAxes, color=_MUTED, fontsize=9)
    _style(axes, "requests/s", max(rates) * 1.1)


def _latency(axes: Axes, panel: Panel) -> None:
    highest = 1.0
    for (way, seconds), (dark, light) in zip(panel.latencies.items(), _LATENCIES, strict=False):
        at = [each.at_s for each in seconds]
        axes.plot(at, [each.p95_ms for each in seconds], color=dark, linewidth=1.5, label=f"{way}, 95th percentile")
        axes.plot(at, [each.p50_ms for each in seconds], color=light, linewidth=1.5, label=f"{way}, median")
        highest = max(highest, *(each.p95_ms for each in seconds if not math.isnan(each.p95_ms)))
    axes.legend(frameon=False, fontsize=7.5, labelcolor=_MUTED, loc="upper left", ncols=2, borderaxespad=0.1)
    axes.set_xlabel("seconds", color=_MUTED, fontsize=9)
    # The upper part is the legend's.
    _style(axes, "latency, ms", highest * 1.7)


def _style(axes: Axes, label: str, top: float) -> None:
    axes.set_ylabel(label, color=_MUTED, fontsize=9)
    axes.set_ylim(0, top)
    axes.set_xlim(left=0)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, labelsize=8, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _number(text: str) -> float:
    return math.nan if text in ("", "N/A") else float(text)
