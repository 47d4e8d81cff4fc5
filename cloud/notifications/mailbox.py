"""The local mailbox: each mail one file, read without trusting a byte of it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default as modern
from pathlib import Path

import msgspec

from cloud.notifications.notice import CORRELATION_HEADER
from cloud.notifications.plain import one_line
from contract.errors import RondaError

_SUFFIX = ".eml"
_ID = re.compile(r"\d{13}-[0-9a-f]{16}")
_REMOVED = "removed"
# Enough for the headers of any mail of ours, some 1.5 kB.
_HEAD_BYTES = 16_384

_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif"})

# Stands before a mail's own HTML: no script, nothing fetched, and links open in a tab of their own.
_GUARD = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'\">"
    '<base target="_blank">'
)


class UnknownMail(RondaError):  # noqa: N818  # a fact, as the others that this package raises
    """There is no mail of this id; it may have been removed to make room."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the mailbox. `received_at_ms` is our time; the others are the mail's own words."""

    id: str
    subject: str
    sender: str
    to: str
    date: str
    message_id: str
    correlation_id: str
    received_at_ms: int


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail opened. `html` has its pictures inside and is for an `iframe` with `sandbox` and `srcdoc`."""

    summary: Summary
    headers: Sequence[tuple[str, str]]
    text: str
    html: str
    raw: bytes


class Mailbox:
    """The mails of one folder, at most `most` of them; older ones are removed and counted."""

    def __init__(self, folder: Path, *, most: int = 1000) -> None:
        self._folder = folder
        self._most = most
        # The server keeps mails from several threads; room is made by one at a time.
        self._keeping = threading.Lock()

    def keep(self, raw: bytes, received_at_ms: int) -> str:
        """Put a mail on the disk and return its id. The file is whole and safe before this returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        mail_id = f"{received_at_ms:013d}-{hashlib.sha256(raw).hexdigest()[:16]}"
        with self._keeping:
            _write(self._path(mail_id), raw)
            self._make_room()
        return mail_id

    def list(self, limit: int = 100) -> Sequence[Summary]:
        """The newest mails, newest first."""
        return [self._summary(path) for path in self._newest()[:limit]]

    def read(self, mail_id: str) -> Mail:
        """One mail. Raises: UnknownMail, also for an id that is none and would lead elsewhere."""
        path = self._path(mail_id)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raise UnknownMail(f"no mail {mail_id}: it was removed to make room, or never came") from None
        message = message_from_bytes(raw, EmailMessage, policy=modern)
        return Mail(
            summary=_summary(mail_id, message),
            headers=[(name, _said(message, name)) for name in message],
            text=_body(message, "plain"),
            html=_guarded(message),
            raw=raw,
        )

    @property
    def removed(self) -> int:
        """How many mails were removed to make room since the folder began."""
        try:
            return int((self._folder / _REMOVED).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _path(self, mail_id: str) -> Path:
        if _ID.fullmatch(mail_id) is None:
            raise UnknownMail(f"{one_line(mail_id)[:80]!r} is not the id of a mail")
        return self._folder / f"{mail_id}{_SUFFIX}"

    def _newest(self) -> Sequence[Path]:
        paths = (path for path in self._folder.glob(f"*{_SUFFIX}") if _ID.fullmatch(path.stem))
        return sorted(paths, key=lambda path: path.name, reverse=True)

    def _summary(self, path: Path) -> Summary:
        with path.open("rb") as file:
            head = BytesHeaderParser(EmailMessage, policy=modern).parsebytes(file.read(_HEAD_BYTES))
        return _summary(path.stem, head)

    def _make_room(self) -> None:
        surplus = self._newest()[self._most :]
        for path in surplus:
            path.unlink(missing_ok=True)
        if surplus:
            _write(self._folder / _REMOVED, str(self.removed + len(surplus)).encode())


def _write(path: Path, content: bytes) -> None:
    """All or nothing: a reader, and a power cut, find the whole file or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _summary(mail_id: str, message: EmailMessage) -> Summary:
    return Summary(
        id=mail_id,
        subject=_said(message, "Subject"),
        sender=_said(message, "From"),
        to=_said(message, "To"),
        date=_said(message, "Date"),
        message_id=_said(message, "Message-ID"),
        correlation_id=_said(message, CORRELATION_HEADER),
        received_at_ms=int(mail_id.partition("-")[0]),
    )


def _said(message: EmailMessage, header: str) -> str:
    try:
        return one_line(str(message.get(header, "")))
    except Exception:  # the standard parser raises many kinds of error on headers that somebody bent on purpose
        return ""


def _body(message: EmailMessage, kind: str) -> str:
    try:
        part = message.get_body((kind,))
        return str(part.get_content()) if isinstance(part, EmailMessage) else ""
    except Exception:  # as above: an unknown charset, a part that claims to be what it is not
        return ""


def _guarded(message: EmailMessage) -> str:
    html = _body(message, "html")
    for cid, address in _pictures(message):
        html = html.replace(f"cid:{cid}", address)
    return f"{_GUARD}{html}" if html else ""


def _pictures(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for part in message.walk():
        cid = str(part.get("Content-ID", "")).strip().strip("<>")
        content = part.get_payload(decode=True)
        if cid and part.get_content_type() in _PICTURES and isinstance(content, bytes):
            yield cid, f"data:{part.get_content_type()};base64,{base64.b64encode(content).decode()}"
