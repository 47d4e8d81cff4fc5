"""The quarantine: what was refused and why, through the door again, and out of the way."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Reader, Registrar, services_of
from cloud.api.problems import Problem, not_found
from cloud.api.quarantine_views import (
    ArchivedView,
    EntryPage,
    ReplayPage,
    UnarchivedView,
    entry_detail,
    entry_view,
    read_cursor,
    write_cursor,
)
from cloud.api.shown_bytes import escaped
from cloud.storage.quarantine import Rejection, Wanted
from cloud.storage.quarantine_return import ArchiveError

log = logging.getLogger("ronda.api.quarantine")
router = APIRouter(prefix="/api/v1/quarantine", tags=["quarantine"])

# What a person reads about causes; more is a report.
_CAUSES = 20
# One request replays what the chain carries in a moment; whoever has more sends the cursor.
_MOST_REPLAYED = 200
_MOST_BYTES = 16 << 20
# Archives of one request; each takes up to a thousand entries.
_MOST_ARCHIVES = 10
_SETTLED = {"waiting": False, "settled": True, "all": None}

Ids = Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=_MOST_REPLAYED)]
Name = Annotated[str, msgspec.Meta(max_length=128)]


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries: by their ids, or all that wait and agree with what is given; at least one thing is given."""

    ids: Ids | None = None
    site: Name | None = None
    device: Name | None = None
    stage: Name | None = None
    reason: Name | None = None
    before_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=128)] | None = None

    def wanted(self) -> Wanted:
        """Raises: Problem 422 where nothing is given: all of everything is not asked for by leaving words out."""
        given = {name: getattr(self, name) for name in ("ids", "site", "device", "stage", "reason", "before_ms")}
        if all(value is None for value in given.values()):
            raise Problem(422, "wrong_shape", "name ids, or say which: site, device, stage, reason or before_ms")
        return Wanted(**given, settled=None if self.ids is not None else False)


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which archive, by the name that it has in the store."""

    archive: Name


_STRING = {"type": "string"}
_PROPERTIES = dict.fromkeys(("site", "device", "stage", "reason", "cursor"), _STRING) | {
    "ids": {"type": "array", "items": _STRING},
    "before_ms": {"type": "integer"},
}
_SCHEMA = {"type": "object", "properties": _PROPERTIES}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


_OPENAPI_NAMED = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "properties": {"archive": _STRING}}}},
    }
}


@router.get("")
async def entries(
    request: Request,
    _: Reader,
    site: str | None = None,
    device: str | None = None,
    stage: str | None = None,
    reason: str | None = None,
    state: Literal["waiting", "settled", "all"] = "waiting",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Response:
    """What waits, newest first, with `next`, how full the quarantine is, and why most of it was refused."""
    wanted = Wanted(site=site, device=device, stage=stage, reason=reason, settled=_SETTLED[state])
    behind = None if cursor is None else read_cursor(cursor)
    quarantine = services_of(request).parts.quarantine
    found = await quarantine.page(wanted, limit=limit + 1, behind=behind)
    page = EntryPage(
        items=[entry_view(each) for each in found[:limit]],
        next=write_cursor(found[limit - 1].place) if len(found) > limit else None,
        totals=await quarantine.totals(),
        causes=list(await quarantine.causes(limit=_CAUSES)),
    )
    return answer(page)


@router.get("/{rejection_id}")
async def entry(request: Request, rejection_id: str, _: Reader) -> Response:
    """One with its bytes, as text where they are text and as a hexadecimal dump where not, and what to do about it."""
    known = rejection_id.isascii() and rejection_id.isalnum()
    found = await services_of(request).parts.quarantine.get(rejection_id) if known else None
    if found is None:
        raise not_found(f"nothing of the id {rejection_id[:64]!r} is in the quarantine; it may have been archived")
    return answer(entry_detail(found))


@router.post("/replay", openapi_extra=_OPENAPI)
async def replay(request: Request, caller: Registrar) -> Response:
    """Send these through the ordinary door again, oldest first; what is refused again stays, with the new reason.

    Repeats are absorbed. Up to 200 a request: with `next` as `cursor` it goes on.
    """
    chosen = command(await read_command(request), Chosen)
    services = services_of(request)
    after = None if chosen.cursor is None else read_cursor(chosen.cursor)
    found = await services.parts.quarantine.oldest(chosen.wanted(), limit=_MOST_REPLAYED + 1, after=after)
    taken = _as_many_as_fit(found)
    outcomes = await services.replaying.replay(taken)
    fields = {"agent": "api", "subject": caller.subject, "entries": len(taken)}
    log.info("quarantine.replay_asked", extra=fields)
    return answer(ReplayPage(items=outcomes, next=write_cursor(taken[-1].place) if len(taken) < len(found) else None))


@router.post("/archive", openapi_extra=_OPENAPI)
async def archive(request: Request, caller: Registrar) -> Response:
    """Move these out of the quarantine into archives, oldest first: the count stays, and nothing is dropped."""
    wanted = command(await read_command(request), Chosen).wanted()
    parts = services_of(request).parts
    moved, names = 0, []
    for _ in range(_MOST_ARCHIVES):
        done = await parts.quarantine.archive(wanted, now_ms=int(parts.clock_ms()))
        if done.name is None:
            break
        moved += done.entries
        names.append(done.name)
    log.info("quarantine.archive_asked", extra={"agent": "api", "subject": caller.subject, "entries": moved})
    return answer(ArchivedView(archived=moved, archives=names))


@router.post("/unarchive", openapi_extra=_OPENAPI_NAMED)
async def unarchive(request: Request, caller: Registrar) -> Response:
    """Bring back what an archive took; from then on its entries wait as they did before, to be replayed or archived."""
    name = command(await read_command(request), Named).archive
    try:
        ids = await services_of(request).parts.quarantine.unarchive(name)
    except ArchiveError as error:
        raise Problem(409, "archive_unreadable", str(error)) from error
    if ids is None:
        raise not_found(
            f"the quarantine has no archive {escaped(name)!r}; what an archive gave back before is in the quarantine"
        )
    log.info("quarantine.unarchive_asked", extra={"agent": "api", "subject": caller.subject, "entries": len(ids)})
    return answer(UnarchivedView(ids=list(ids)))


def _as_many_as_fit(found: Sequence[Rejection]) -> list[Rejection]:
    """The first of them, at least one, up to the bounds of one request."""
    size, taken = 0, 0
    while taken < min(len(found), _MOST_REPLAYED) and (taken == 0 or size + found[taken].size <= _MOST_BYTES):
        size += found[taken].size
        taken += 1
    return list(found[:taken])
