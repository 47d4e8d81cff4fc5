"""Who is asking, and for which machines may they speak? Pure rules over scopes and device grants."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

# A grant for every device of every site; `site/*` is one site's.
EVERYTHING = "*"


class Scope(enum.StrEnum):
    """What a caller may do at all; `ingest:write` is narrowed by the caller's devices."""

    INGEST_WRITE = "ingest:write"
    SIMULATE_WRITE = "simulate:write"
    DATA_READ = "data:read"
    DEVICES_WRITE = "devices:write"
    ALARMS_WRITE = "alarms:write"
    MODELS_WRITE = "models:write"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The party behind a request: a person, a device or a machine with the key.

    `devices` are the grants for `ingest:write`: `site/device`, `site/*` or `*`. `token_id` and `expires_at_s` (Unix
    seconds) are those of its token; a machine with the key has none.
    """

    subject: str
    scopes: frozenset[str]
    devices: tuple[str, ...] = ()
    token_id: str | None = None
    expires_at_s: int | None = None


def may_speak_for(grants: Sequence[str], site: str, device: str) -> bool:
    """May a caller with these grants send readings of this device?"""
    return f"{site}/{device}" in grants or may_register(grants, site)


def may_register(grants: Sequence[str], site: str) -> bool:
    """May a caller with these grants add devices to the site by sending their first reading?"""
    return EVERYTHING in grants or f"{site}/*" in grants


def granted(asked: str, held: Iterable[str]) -> frozenset[str] | None:
    """The scopes of a new token: those asked for, or all held when none is named; None when one is not held."""
    wanted = frozenset(asked.split())
    if not wanted:
        return frozenset(held)
    return wanted if wanted <= frozenset(held) else None
