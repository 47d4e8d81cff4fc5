"""From what is known of something to what is shown of it: the facts of the same names, and each time also in words."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from cloud.api.times import iso

V = TypeVar("V", bound=msgspec.Struct)

_MS = "_ms"


def shown(view: type[V], known: msgspec.Struct, **told: Any) -> V:
    """A `view` of `known`, with what is `told` beside it.

    A field that neither of them has is the time of the same name with `_ms`, as ISO 8601; None where there is none.
    """
    facts = {name: getattr(known, name) for name in known.__struct_fields__} | told
    asked = [name for name in view.__struct_fields__ if name in facts or name + _MS in facts]
    return view(**{name: facts[name] if name in facts else _in_words(facts[name + _MS]) for name in asked})


def _in_words(at_ms: float | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
