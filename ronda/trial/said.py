"""A thing worth telling the reader, before it is known in which language."""

from __future__ import annotations

import msgspec

Value = int | float | str


class Said(msgspec.Struct, frozen=True):
    """An English sentence with `{places}`, which is also what its translation is found by, and what goes there."""

    text: str
    values: dict[str, Value] = {}

    def __str__(self) -> str:
        return self.text.format(**self.values)
