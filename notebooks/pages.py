"""How notebooks look: pictures in the product's few colours, tables as Markdown, numbers with their intervals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from matplotlib.colors import LinearSegmentedColormap

from cloud.notifications.palette import CENTRE, GRID, HUE, LINE_STRONG, RIBBON, SEEN, SURFACE, TEXT, TEXT_LABEL
from contract.events import Severity

QUIET, STRONG, BLUE = CENTRE, SEEN, RIBBON
ORANGE, RED = HUE[Severity.WARNING].shape, HUE[Severity.CRITICAL].shape
DOWN_UP = LinearSegmentedColormap.from_list("down_up", [RIBBON, "#8FA3B8", SURFACE, "#F0B36B", RED])
"""Down is blue, up is orange, white is nothing: readable without red and green."""
SHARE = LinearSegmentedColormap.from_list("share", [SURFACE, "#C4CFDA", RIBBON])


def style() -> None:
    """Use the product's colours from here on; 110 dots an inch keep a picture below 150 kB."""
    plt.rcParams.update({
        "figure.dpi": 110,
        "figure.figsize": (8.2, 4.0),
        "figure.facecolor": SURFACE,
        "figure.constrained_layout.use": True,
        "axes.edgecolor": LINE_STRONG,
        "axes.labelcolor": TEXT_LABEL,
        "axes.titlecolor": TEXT,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "xtick.color": TEXT_LABEL,
        "ytick.color": TEXT_LABEL,
        "text.color": TEXT,
        "legend.frameon": False,
        "font.size": 9.5,
    })  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markdown:
    """A table that reads the same in Jupyter and on a Git host: text to the left, numbers to the right."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    right = ["---:" if all(_numeric(line[column]) for line in lines) else "---" for column in range(len(head))]
    text = "\n".join(f"| {' | '.join(line)} |" for line in [list(head), right, *lines])
    return Markdown(text)  # type: ignore[no-untyped-call]  # IPython has types for half of it


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it: `86 %`."""
    return f"{100 * share:.{digits}f} %"


def interval(samples: Sequence[float] | np.ndarray[Any, Any]) -> tuple[float, float]:
    """The middle 95 % of resampled figures."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)


def cells(axis: Any, values: np.ndarray[Any, Any], columns: Sequence[str], rows: Sequence[str], **look: Any) -> Any:
    """A matrix (rows × columns) as coloured cells with its labels; returns the image, for a colour bar."""
    image = axis.imshow(values, aspect="auto", **look)
    axis.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), rows)
    axis.grid(visible=False)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return image


def written(
    axis: Any, values: np.ndarray[Any, Any], form: Callable[[float], str], *, dark_from: tuple[float, float]
) -> None:
    """The numbers into the cells, except for what rounds to nothing; light where the cell is dark, below and above."""
    for (row, column), value in np.ndenumerate(values):
        if abs(value) >= 0.005:
            colour = TEXT if dark_from[0] < value < dark_from[1] else SURFACE
            axis.text(column, row, form(float(value)), ha="center", va="center", color=colour, fontsize=8.5)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float | np.floating) else str(value)


def _numeric(text: str) -> bool:
    """Is it a number, a share or one with its interval, or the dash that stands for none?"""
    return re.fullmatch(r"([-+]?[\d.,]+( %)?( \(.*\))?|–)?", text) is not None
