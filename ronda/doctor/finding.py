"""One thing that is wrong, told so that a person can act."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`about`: which part, device or file; `what`: with figures; `since_ms`: where it is known; `todo`: what to do."""

    check: str
    about: str
    what: str
    todo: str
    since_ms: int | None = None
