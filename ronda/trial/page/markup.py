"""HTML that cannot be broken out of: whatever is not markup already is escaped where it is put in."""

from __future__ import annotations

import re
from html import escape

_EMPTY = frozenset({"rect", "line", "path", "use", "circle", "meta", "link", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """An element. `class_`, `for_` and `data_x` stand for `class`, `for` and `data-x`; None leaves an attribute out.

    A child that is no Markup is a text and gets escaped; None is no child.
    """
    head = name + "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in _EMPTY:
        return Markup(f"<{head}/>" if name not in {"meta", "link", "br"} else f"<{head}>")
    return Markup(f"<{head}>{joined(*children)}</{name}>")


def breakable(name: str) -> Markup:
    """A name that may break after its underscores and dots, where nothing else would let it."""
    parts = re.split(r"(?<=[_./:])", name)
    return Markup("<wbr>".join(escape(part) for part in parts))


def joined(*children: str | None) -> Markup:
    """Children side by side, escaped where they are texts."""
    return Markup("".join(each if isinstance(each, Markup) else escape(each) for each in children if each is not None))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-") if key not in {"viewBox", "preserveAspectRatio", "clipPathUnits"} else key
    return f" {name}" if value is True else f' {name}="{escape(_text(value))}"'


def _text(value: str | float | bool | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
