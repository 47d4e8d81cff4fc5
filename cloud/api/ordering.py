"""The order in which a person counts: `demo-2` before `demo-10`."""

from __future__ import annotations

import re

NaturalKey = tuple[tuple[str, int], ...]

# Any text, then the number behind it; at the end there may be none.
_PIECE = re.compile(r"([^0-9]*)([0-9]*)")


def natural_key(*names: str) -> NaturalKey:
    """Sorts names by their text and, where they are numbered, by their numbers."""
    return tuple((text, int(number or -1)) for name in names for text, number in _PIECE.findall(name))
