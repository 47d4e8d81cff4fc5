"""Plain documents as YAML that a person likes to read: mappings, lists, texts, numbers, flags and null."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

# A text that no YAML reader takes for anything else; every other one is quoted as JSON, which is YAML as well.
_PLAIN = re.compile(r"[A-Za-z/$][A-Za-z0-9_/.()$-]*(?:,? [A-Za-z0-9_/.()-]+)*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def dump(document: Mapping[str, object]) -> str:
    """The document as YAML text, in its own order."""
    return "".join(f"{line}\n" for line in _block(document))


def _block(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(str(key))}:", item, indent="  ")
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for item in value:
            yield from _item(item)
    else:
        yield _scalar(value)


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    lines = list(_block(item))
    if _nested(item):
        yield head
        yield from (indent + line for line in lines)
    else:
        yield f"{head} {lines[0]}"


def _item(item: object) -> Iterator[str]:
    first, *rest = _block(item)
    yield f"- {first}"
    yield from (f"  {line}" for line in rest)


def _nested(value: object) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return msgspec.json.encode(value).decode()
