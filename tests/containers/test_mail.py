"""The mail server as a part of its own: it receives, and the API's process finds the mail in the shared folder."""

from __future__ import annotations

import asyncio
import os
import smtplib
import sys
from pathlib import Path

import pytest

from cloud.notifications.mailbox import Mailbox
from ronda.guards import free_port
from ronda.parts import Surroundings
from ronda.settings import SettingsError
from ronda.stack.mail import run_mail

MAIL = "From: ronda@localhost\r\nTo: ana@plant.example\r\nSubject: worn\r\n\r\nA bearing.\r\n"
WHERE = {
    "MQTT_URL": "mqtt://broker:1883",
    "DATABASE_URL": "postgresql://ronda:x@127.0.0.1:1/ronda",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    "MAIL_SERVER": "mail:1025",
}


async def test_what_is_sent_to_it_is_in_the_folder(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    environment = os.environ | {"MAIL_FOLDER": str(tmp_path)}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ronda", "mail", "--port", str(port), env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"mailserver.started" not in await server.stderr.readline():
                pass
            await asyncio.to_thread(_send, port)
    finally:
        server.terminate()
        assert await asyncio.wait_for(server.wait(), 15) == 0
    assert [mail.subject for mail in Mailbox(tmp_path).list()] == ["worn"]


def _send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=15) as smtp:
        smtp.sendmail("ronda@localhost", ["ana@plant.example"], MAIL)


async def test_without_a_folder_one_line_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_FOLDER", raising=False)
    with pytest.raises(SettingsError, match="MAIL_FOLDER must be set"):
        await run_mail("127.0.0.1", 1025, insecure=False)


@pytest.mark.parametrize(
    ("host", "expected"), [("", ("mail", 1025, True)), ("smtp.plant.example", ("smtp.plant.example", 587, False))]
)
def test_it_is_taken_while_no_other_is_set(
    monkeypatch: pytest.MonkeyPatch, host: str, expected: tuple[str, int, bool]
) -> None:
    for name, value in (WHERE | {"EMAIL_SMTP_HOST": host}).items():
        monkeypatch.setenv(name, value)
    runtime = Surroundings("agent-notification", None).runtime
    assert (runtime.smtp_host, runtime.smtp_port, runtime.own_mail) == expected


def test_an_address_without_a_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (WHERE | {"MAIL_SERVER": "mail"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="is no host:port"):
        Surroundings("agent-notification", None)
