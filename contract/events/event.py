"""What all events have in common: a version, and the machine that it is about."""

from __future__ import annotations

import msgspec

from contract.identity import partition_of

SCHEMA_VERSION = 1


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to one device."""

    schema_version: int = SCHEMA_VERSION
    site: str
    device: str

    @property
    def partition(self) -> int:
        """The chain partition of the device, 0 to 63."""
        return partition_of(self.site, self.device)
