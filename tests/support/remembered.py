"""What a machine's watches remember, to compare: whether two of them were given the same readings, each once."""

from __future__ import annotations

from typing import Any

import msgspec

# How a machine's own state begins; a detector's alone does not.
_MARK = b"ronda-machine-2\n"
# What stands before each state.
_SUM_BYTES = 4


def remembered(state: bytes) -> dict[str, object]:
    """A detector's memory without its sentences, and without the count of rows that came again and were left out."""
    if state.startswith(_MARK):
        state = msgspec.msgpack.decode(state[len(_MARK) + _SUM_BYTES :])["detector"]
    facts: dict[str, object] = _without_words(msgspec.msgpack.decode(state[_SUM_BYTES:]))
    return facts


def _without_words(facts: Any) -> Any:
    if isinstance(facts, list):
        return [_without_words(each) for each in facts]
    if not isinstance(facts, dict):
        return facts
    return {name: _without_words(value) for name, value in facts.items() if name not in {"explanation", "skipped"}}
