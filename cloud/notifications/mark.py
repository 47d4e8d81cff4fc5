"""Ronda's mark as a small picture, since mails cannot show SVG: the ring is the round, the inner dot the machine."""

from __future__ import annotations

import functools

from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle

from cloud.notifications import palette
from cloud.notifications.png import png_of

SIZE = 18
_SCALE = 3


@functools.cache
def draw_mark() -> bytes:
    """The PNG, 18 × 18 CSS pixels at triple density, in ink on a clear ground."""
    figure = Figure(figsize=(SIZE / 100, SIZE / 100), dpi=100 * _SCALE)
    figure.patch.set_alpha(0)
    # The drawing's own grid: 16 units, y downwards.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 16), ylim=(16, 0))
    axes.set_axis_off()
    width = 2 * SIZE / 16 * 0.72
    # Clockwise from the outer dot round to the ring's open end.
    axes.add_patch(
        Arc((8, 8.1), 11.2, 11.2, theta1=0, theta2=276, color=palette.INK, linewidth=width, capstyle="round")
    )
    axes.add_patch(Circle((12.55, 3.55), 2.05, color=palette.INK, linewidth=0))
    axes.add_patch(Circle((8, 8.1), 1.75, color=palette.INK, linewidth=0))
    return png_of(figure)
