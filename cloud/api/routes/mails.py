"""The mails that the local mail server received: what a person would have found in the inbox."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.dependencies import Reader, services_of
from cloud.api.ports import Mailbox
from cloud.api.problems import not_found
from cloud.api.times import iso
from cloud.notifications.mailbox import Summary, UnknownMail

router = APIRouter(prefix="/api/v1/mails", tags=["mails"])


@router.get("")
async def mails(request: Request, _: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """The newest mails, newest first; `local` is false where mails go to a mail server of yours."""
    mailbox = services_of(request).parts.mailbox
    if mailbox is None:
        return answer({"items": [], "local": False})
    found = await asyncio.to_thread(mailbox.list, limit)
    return answer({"items": [_line(summary) for summary in found], "local": True})


@router.get("/{mail_id}")
async def mail(request: Request, mail_id: str, _: Reader) -> Response:
    """One mail: its summary, `headers`, `text` and `html`, which is made for a sandboxed frame."""
    mailbox = _local(services_of(request).parts.mailbox)
    try:
        found = await asyncio.to_thread(mailbox.read, mail_id)
    except UnknownMail as error:
        raise not_found(str(error)) from error
    body = {"headers": found.headers, "text": found.text, "html": found.html}
    return answer(_line(found.summary) | body)


def _local(mailbox: Mailbox | None) -> Mailbox:
    if mailbox is None:
        raise not_found("mails go to the mail server in EMAIL_SMTP_HOST; there is no local mailbox")
    return mailbox


def _line(summary: Summary) -> dict[str, object]:
    return msgspec.structs.asdict(summary) | {"received_at": iso(summary.received_at_ms)}
