"""A drawn figure as the bytes of a PNG."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png_of(figure: Figure) -> bytes:
    """The figure at its own resolution; without the program's name in it, so that the same figure is the same bytes."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]  # no types
    return file.getvalue()
