"""An archive's entries come back into the quarantine, as what they were: to be looked at, and replayed, like any other.

Either they stand in the archive or in the quarantine: the archive goes with the transaction that brings them back, so
that nothing is let in twice from one archive. Killed before its file is gone, the file is left over and known no more.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import QuarantineArchive, Rejected
from contract.errors import RondaError

log = logging.getLogger("ronda.storage.quarantine")

_COLUMNS = tuple(column.key for column in Rejected.__table__.c)


class ArchiveError(RondaError):
    """The archive cannot be read: its file is not there, or damaged."""


async def take_back(database: Database, name: str, folder: Path | None) -> list[str] | None:
    """Bring back what the archive of this name took; what came again meanwhile stays as it is.

    Returns the ids, oldest first; None where there is no such archive. Raises: ArchiveError.
    """
    mine = delete(QuarantineArchive).where(QuarantineArchive.name == name).returning(QuarantineArchive.content)
    async with database.begin() as connection:
        found = (await connection.execute(mine)).one_or_none()
        if found is None:
            return None
        path = None if found.content is not None or folder is None else folder / name
        entries = await asyncio.to_thread(_entries, name, path, found.content)
        if entries:
            await connection.execute(insert(Rejected).on_conflict_do_nothing(), entries)
    if path is not None:
        await asyncio.to_thread(path.unlink, missing_ok=True)
    log.info("quarantine.unarchived", extra={"archive": name, "entries": len(entries)})
    return [entry["id"] for entry in entries]


def _entries(name: str, path: Path | None, content: bytes | None) -> list[dict[str, Any]]:
    try:
        whole = path.read_bytes() if path is not None else content or b""
        return [_entry(msgspec.json.decode(line)) for line in gzip.decompress(whole).splitlines()]
    except FileNotFoundError as error:
        raise ArchiveError(f"the archive {name} is not in its folder, {path}: put its file back") from error
    except (OSError, EOFError, zlib.error, msgspec.DecodeError, ValueError, KeyError) as error:
        raise ArchiveError(f"the archive {name} is damaged: {error}; put a sound copy of it in its place") from error


def _entry(line: Mapping[str, Any]) -> dict[str, Any]:
    """What an archive of an earlier program does not say is unknown."""
    return {key: line.get(key) for key in _COLUMNS} | {"payload": base64.b64decode(line["payload"], validate=True)}
