"""The local mail server really receives, and the mailbox shows what came without trusting it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosmtplib
import pytest

from cloud.notifications.email import Email, Smtp
from cloud.notifications.mailbox import Mailbox, UnknownMail
from cloud.notifications.mailserver import MailServer
from contract.errors import TransientError
from tests.notifications.notices import notice
from tests.support.anomalies import RAISED_AT_MS


class Clock:
    """A clock that goes on by a second each time it is asked."""

    def __init__(self) -> None:
        self.at_ms = RAISED_AT_MS

    def __call__(self) -> int:
        self.at_ms += 1000
        return self.at_ms


def email(server: MailServer) -> Email:
    return Email(Smtp(host="127.0.0.1", port=server.port, tls=False), "ronda@localhost", ["maintenance@localhost"])


async def test_a_mail_that_was_sent_can_be_opened(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "mail")
    server = MailServer(mailbox, now_ms=Clock())
    await server.start()
    try:
        receipt = await email(server).send(notice(language="pt"))
    finally:
        await server.stop()
    (summary,) = mailbox.list()
    assert receipt.text == f"250 2.0.0 Ok: kept as {summary.id}"
    assert summary.subject == "▲ Crítico: pump-07, vibração 1,8 vezes o normal"
    assert (summary.sender, summary.to) == ("Ronda <ronda@localhost>", "maintenance@localhost")
    assert summary.correlation_id == "plant-1.pump-07.9f2c41d07be3a655.88214"
    assert summary.message_id == notice(language="pt").message_id
    mail = mailbox.read(summary.id)
    assert ("X-Ronda-Correlation-Id", summary.correlation_id) in list(mail.headers)
    assert "Vibração, lado acoplado: 0,38\u00a0g" in mail.text
    assert "cid:" not in mail.html
    assert mail.html.count("data:image/png;base64,") == 2
    assert (tmp_path / "mail" / f"{summary.id}.eml").read_bytes() == mail.raw


async def test_the_newest_mail_comes_first_and_the_oldest_make_room(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path, most=3)
    clock = Clock()
    for number in range(5):
        mailbox.keep(f"Subject: mail {number}\r\n\r\nhello\r\n".encode(), clock())
    assert [summary.subject for summary in mailbox.list()] == ["mail 4", "mail 3", "mail 2"]
    assert [summary.subject for summary in mailbox.list(limit=1)] == ["mail 4"]
    assert mailbox.removed == 2
    assert Mailbox(tmp_path, most=3).removed == 2


def test_an_empty_mailbox_is_empty(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "never")
    assert list(mailbox.list()) == []
    assert mailbox.removed == 0


@pytest.mark.parametrize(
    "mail_id", ["../../etc/passwd", "", "..", "1763398440000-0123456789abcdef/../x", "removed", "1\n"]
)
def test_an_id_leads_nowhere_but_to_a_mail(tmp_path: Path, mail_id: str) -> None:
    (tmp_path / "removed").write_text("1")
    with pytest.raises(UnknownMail, match="is not the id of a mail"):
        Mailbox(tmp_path).read(mail_id)


def test_a_mail_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    with pytest.raises(UnknownMail, match="removed to make room"):
        Mailbox(tmp_path).read("1763398440000-0123456789abcdef")


def test_what_else_lies_in_the_folder_is_not_a_mail(tmp_path: Path) -> None:
    (tmp_path / ".1763398440000-0123456789abcdef.eml.77").write_bytes(b"half a mail")
    (tmp_path / "notes.eml").write_bytes(b"Subject: mine\r\n\r\n")
    assert list(Mailbox(tmp_path).list()) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b'Subject: =?utf-8?b?////?=\r\nTo: @@,,<>\r\nFrom: "\r\nDate: never\r\n\r\n',
        b"Content-Type: text/html; charset=nobody-knows\r\n\r\n<p>\xff",
        b"Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: image/png\r\n\r\n--x--",
        b"Message-ID: <\r\nTo: a\x00b <[>\r\nContent-Type: multipart/alternative\r\n\r\n",
        b"To: " + b"<" * 5000 + b"\r\n\r\n",
    ],
)
def test_a_bent_mail_is_listed_and_opened_all_the_same(tmp_path: Path, raw: bytes) -> None:
    mailbox = Mailbox(tmp_path)
    mail_id = mailbox.keep(raw, RAISED_AT_MS)
    assert [summary.id for summary in mailbox.list()] == [mail_id]
    assert mailbox.read(mail_id).raw == raw


def test_a_strangers_html_runs_and_fetches_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    raw = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script><img src='http://evil.example/x'>"
    html = mailbox.read(mailbox.keep(raw, RAISED_AT_MS)).html
    assert html.startswith('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;')


def test_a_picture_is_shown_only_if_it_is_one(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    raw = (
        b"Content-Type: multipart/related; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<img src='cid:a'>\r\n"
        b"--x\r\nContent-Type: image/svg+xml\r\nContent-ID: <a>\r\n\r\n<svg onload='alert(1)'/>\r\n--x--\r\n"
    )
    assert "data:image/svg" not in mailbox.read(mailbox.keep(raw, RAISED_AT_MS)).html


async def test_a_full_disk_is_told_to_the_sender_who_tries_again(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")
    server = MailServer(Mailbox(tmp_path / "mail"), now_ms=Clock())
    await server.start()
    try:
        with pytest.raises(TransientError, match="452 the mail could not be kept"):
            await email(server).send(notice())
    finally:
        await server.stop()


async def test_a_given_port_is_kept_and_a_taken_one_is_refused(tmp_path: Path) -> None:
    first = MailServer(Mailbox(tmp_path), now_ms=Clock())
    await first.start()
    second = MailServer(Mailbox(tmp_path), now_ms=Clock(), port=first.port)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()
    await first.stop()
    await second.start()
    assert second.port == first.port
    await second.stop()


async def test_several_mails_at_once_are_all_kept(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    server = MailServer(mailbox, now_ms=Clock())
    await server.start()

    await asyncio.gather(
        *(
            aiosmtplib.send(
                f"Subject: {number}\r\n\r\n.\r\nend\r\n",
                sender="a@localhost",
                recipients=["b@localhost"],
                hostname="127.0.0.1",
                port=server.port,
                start_tls=False,
                timeout=10,
            )
            for number in range(8)
        )
    )
    await server.stop()
    assert sorted(summary.subject for summary in mailbox.list()) == [str(number) for number in range(8)]
