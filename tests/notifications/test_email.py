"""Mail through a real SMTP server: what it answers decides what happens next."""

from __future__ import annotations

import asyncio
import socket
from email import message_from_bytes
from email.message import Message
from email.policy import default as modern
from pathlib import Path
from typing import Any

import pytest

from cloud.notifications.channel import DeliveryError
from cloud.notifications.email import Email, Smtp, addresses
from contract.errors import TransientError
from tests.notifications.notices import notice
from tests.support.smtp import DROP, HANG, OK, SmtpServer, certificate

ANA, BRUNO = "ana@plant.example", "bruno@plant.example"


def email(server: SmtpServer, *recipients: str, **smtp: Any) -> Email:
    settings = {"host": "127.0.0.1", "port": server.port, "tls": False, "timeout_s": 5.0, **smtp}
    return Email(Smtp(**settings), "ronda@plant.example", recipients or (ANA,))


def mails(server: SmtpServer) -> list[Message]:
    return [message_from_bytes(bytes(taken.original_content or b""), policy=modern) for taken in server.taken]


def subjects(server: SmtpServer) -> list[str]:
    return [str(message["Subject"]) for message in mails(server)]


async def test_the_receipt_is_the_servers_own_line() -> None:
    async with SmtpServer() as server:
        receipt = await email(server, ANA, BRUNO).send(notice())
    assert receipt.text == OK
    assert list(receipt.recipients) == [ANA, BRUNO]
    assert subjects(server) == ["▲ Critical: pump-07, vibration 1.8 times normal"]
    assert server.taken[0].mail_from == "ronda@plant.example"
    assert server.taken[0].rcpt_tos == [ANA, BRUNO]


async def test_a_4xx_is_worth_another_try_with_the_same_message_id() -> None:
    async with SmtpServer("451 4.7.1 Greylisted", OK) as server:
        channel = email(server)
        with pytest.raises(TransientError, match=r"451 4\.7\.1 Greylisted"):
            await channel.send(notice())
        assert (await channel.send(notice())).text == OK
    assert len(server.taken) == 1


async def test_a_5xx_is_for_good() -> None:
    async with SmtpServer("554 5.7.1 Looks like spam") as server:
        with pytest.raises(DeliveryError, match=r"554 5\.7\.1 Looks like spam"):
            await email(server).send(notice())


async def test_a_server_that_hangs_is_given_up_and_tried_again() -> None:
    async with SmtpServer(HANG) as server:
        with pytest.raises(TransientError, match=r"no answer|[Tt]imed out"):
            await asyncio.wait_for(email(server, timeout_s=0.5).send(notice()), 10)


async def test_a_connection_lost_after_data_is_tried_again_with_the_same_message_id() -> None:
    async with SmtpServer(DROP) as server:
        channel = email(server)
        with pytest.raises(TransientError, match="is not there"):
            await channel.send(notice())
        await channel.send(notice())
    assert [message["Message-ID"] for message in mails(server)] == [notice().message_id]


@pytest.mark.parametrize("broken", [b"2", b"25x what\r\n", b"\xff\xfe\r\n"])
async def test_an_answer_that_cannot_be_read_is_not_the_servers_last_word(broken: bytes) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while not (line := await reader.readline()).startswith(b"DATA"):
            writer.write(b"250 fine\r\n")
        assert line
        writer.write(b"354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(broken)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        channel = Email(Smtp(host="127.0.0.1", port=port, tls=False, timeout_s=5.0), "ronda@plant.example", (ANA,))
        with pytest.raises(TransientError):
            await channel.send(notice())


async def test_nobody_listening_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TransientError, match=f"127.0.0.1:{port} is not there"):
        await Email(Smtp(host="127.0.0.1", port=port, tls=False), "ronda@plant.example", [ANA]).send(notice())


async def test_a_host_that_cannot_be_found_is_worth_another_try() -> None:
    with pytest.raises(TransientError, match="is not there"):
        await Email(Smtp(host="mail.invalid", tls=False), "ronda@plant.example", [ANA]).send(notice())


async def test_one_wrong_recipient_does_not_keep_the_mail_from_the_others() -> None:
    async with SmtpServer(recipients={BRUNO: ["550 5.1.1 No such user"]}) as server:
        receipt = await email(server, ANA, BRUNO).send(notice())
    assert list(receipt.recipients) == [ANA]
    assert receipt.text == f"{OK}; refused: {BRUNO} (550 5.1.1 No such user)"


async def test_nobody_is_told_twice_because_another_had_to_wait() -> None:
    async with SmtpServer(recipients={BRUNO: ["450 4.2.0 Greylisted"]}) as server:
        channel = email(server, ANA, BRUNO)
        with pytest.raises(TransientError, match=r"bruno@plant\.example \(450"):
            await channel.send(notice())
        receipt = await channel.send(notice())
    assert [one.rcpt_tos for one in server.taken] == [[ANA], [BRUNO]]
    assert list(receipt.recipients) == [ANA, BRUNO]


async def test_a_late_refusal_does_not_hide_who_was_told() -> None:
    async with SmtpServer(recipients={BRUNO: ["450 4.2.0 Greylisted", "550 5.1.1 No such user"]}) as server:
        channel = email(server, ANA, BRUNO)
        with pytest.raises(TransientError):
            await channel.send(notice())
        receipt = await channel.send(notice())
    assert list(receipt.recipients) == [ANA]
    assert receipt.text.startswith(OK)


async def test_all_recipients_refused_is_for_good() -> None:
    async with SmtpServer(recipients={ANA: ["550 5.1.1 No such user"]}) as server:
        with pytest.raises(DeliveryError, match=r"refused ana@plant\.example \(550"):
            await email(server).send(notice())


async def test_starttls_and_login_where_asked(tmp_path: Path) -> None:
    tls, trust = certificate(tmp_path)
    async with SmtpServer(tls=tls, login=("ronda", "s3cret")) as server:
        channel = email(server, tls=True, trust=trust, user="ronda", password="s3cret")
        assert (await channel.send(notice())).text == OK
    assert server.sessions[0].ssl is not None
    assert server.sessions[0].authenticated


async def test_a_wrong_password_is_for_good_and_is_not_repeated_in_the_error(tmp_path: Path) -> None:
    tls, trust = certificate(tmp_path)
    async with SmtpServer(tls=tls, login=("ronda", "s3cret")) as server:
        with pytest.raises(DeliveryError, match="535") as refused:
            await email(server, tls=True, trust=trust, user="ronda", password="wr0ng").send(notice())
    assert "wr0ng" not in str(refused.value)
    assert server.taken == []


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    tls, _ = certificate(tmp_path)
    async with SmtpServer(tls=tls) as server:
        with pytest.raises(DeliveryError, match="not trusted"):
            await email(server, tls=True).send(notice())
    assert server.taken == []


async def test_tls_asked_for_is_never_given_up_quietly() -> None:
    async with SmtpServer(login=("ronda", "s3cret")) as server:
        with pytest.raises(DeliveryError, match="EMAIL_SMTP"):
            await email(server, tls=True, user="ronda", password="s3cret").send(notice())
    assert server.taken == []


async def test_the_port_of_implicit_tls_is_encrypted_from_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Port 465 needs root, so the server's free port plays it."""
    tls, trust = certificate(tmp_path)
    async with SmtpServer(implicit_tls=tls) as server:
        monkeypatch.setattr("cloud.notifications.email._IMPLICIT_TLS_PORT", server.port)
        assert (await email(server, tls=True, trust=trust).send(notice())).text == OK


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ana@plant.example", [ANA]),
        ("Ana <ana@plant.example>, bruno@plant.example ,ana@plant.example", [ANA, BRUNO]),
        ("maintenance@localhost", ["maintenance@localhost"]),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, found: list[str]) -> None:
    assert addresses(text) == found


@pytest.mark.parametrize(
    "text", ["", "ana", "ana@", "@plant.example", "ana@plant.example, nobody", "ana@b\r\nBcc: eve@c", "josé@b"]
)
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no mail address"):
        addresses(text)
