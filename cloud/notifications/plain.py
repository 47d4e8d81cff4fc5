"""Names that others chose, made safe to stand in a line: a device or sensor name is text and nothing else."""

from __future__ import annotations

import unicodedata


def one_line(text: str) -> str:
    """`text` without line breaks, control characters or marks that reorder what is read (Unicode categories C, Zl, Zp).

    So a name can neither add a header to a mail nor turn its words around.
    """
    kept = (" " if _is_unsafe(char) else char for char in text)
    return " ".join("".join(kept).split())


def _is_unsafe(char: str) -> bool:
    category = unicodedata.category(char)
    return category.startswith("C") or category in {"Zl", "Zp"}
