"""The password file: written whole, read by both brokers, and no password in it."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from broker.credentials import Credentials, CredentialsError, secret_client_id
from tests.broker.conftest import PUMP
from tests.support.brokers import mosquitto
from tests.support.mosquitto_tools import publish_lines


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path / "broker" / "passwd")


def test_the_right_password_is_right_and_every_other_is_wrong(credentials: Credentials) -> None:
    credentials.set(PUMP, "secret")
    assert credentials.verify(PUMP, "secret")
    assert not credentials.verify(PUMP, "Secret")
    assert not credentials.verify(PUMP, "")
    assert not credentials.verify("plant-1/stranger", "secret")


def test_a_user_that_was_removed_is_unknown(credentials: Credentials) -> None:
    credentials.set_all({PUMP: "a", "historian": "b"})
    credentials.remove(PUMP)
    credentials.remove("never there")
    assert credentials.users() == ["historian"]
    assert not credentials.verify(PUMP, "a")


def test_a_change_by_another_process_is_seen(credentials: Credentials) -> None:
    credentials.set(PUMP, "old")
    assert credentials.verify(PUMP, "old")
    Credentials(credentials.path).set(PUMP, "new")
    assert not credentials.verify(PUMP, "old")
    assert credentials.verify(PUMP, "new")


def test_the_file_is_in_mosquittos_format_and_for_its_owner_alone(credentials: Credentials) -> None:
    credentials.set(PUMP, "secret")
    (line,) = credentials.path.read_text().splitlines()
    user, known = line.split(":")
    _, seven, iterations, salt, digest = known.split("$")
    expected = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), int(iterations), 64)
    assert (user, seven, base64.b64decode(digest)) == (PUMP, "7", expected)
    assert stat.S_IMODE(credentials.path.stat().st_mode) == 0o600


async def test_mosquitto_reads_it(tmp_path: Path) -> None:
    async with mosquitto(tmp_path, devices=[PUMP]) as running:
        right = running.address(PUMP)
        assert await publish_lines(right, "any", ["x"]) == 0
        assert await publish_lines(right.with_user(PUMP, "wrong"), "any", ["x"]) != 0


def test_we_read_what_mosquitto_passwd_writes(credentials: Credentials) -> None:
    credentials.set_all({})
    subprocess.run(["mosquitto_passwd", "-b", credentials.path, PUMP, "secret"], check=True)
    assert credentials.verify(PUMP, "secret")


@pytest.mark.parametrize("user", ["", "a:b", "a+b", "plant/#", "a\nb", "a\0b"])
def test_a_user_name_that_would_break_the_file_or_a_rule_is_refused(credentials: Credentials, user: str) -> None:
    with pytest.raises(CredentialsError, match="user name"):
        credentials.set(user, "secret")


def test_a_new_password_is_long_and_never_the_same() -> None:
    fresh = {Credentials.new_password() for _ in range(100)}
    assert len(fresh) == 100
    assert min(map(len, fresh)) >= 32


def test_writers_at_the_same_time_lose_nobody(credentials: Credentials) -> None:
    program = (
        "import sys; from pathlib import Path; from broker.credentials import Credentials\n"
        "for n in range(20): Credentials(Path(sys.argv[1])).set(f'site/d{sys.argv[2]}-{n}', 'x')"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(credentials.path), str(number)]) for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(credentials.users()) == 60


@pytest.mark.parametrize("line", ["nonsense", "user:", "user:$7$x$y$z", "user:$6$a$b", "user:$7$101$!$!"])
def test_a_line_that_cannot_be_read_lets_nobody_in(credentials: Credentials, line: str) -> None:
    credentials.path.parent.mkdir()
    credentials.path.write_text(line + "\n")
    assert not credentials.verify("user", "")
    assert not credentials.verify("user", "secret")


def test_a_services_client_id_is_stable_its_own_and_unguessable() -> None:
    ident = secret_client_id("ronda-validation", "secret")
    assert re.fullmatch(r"ronda-validation-[0-9a-f]{16}", ident)
    assert secret_client_id("ronda-validation", "secret") == ident
    others = {secret_client_id("ronda-validation", "other"), secret_client_id("ronda-historian", "secret")}
    assert ident[-16:] not in {other[-16:] for other in others}


def test_without_a_password_a_client_id_is_the_plain_name() -> None:
    assert secret_client_id("ronda-validation", None) == "ronda-validation"


def test_what_stands_there_already_is_not_written_again(credentials: Credentials) -> None:
    credentials.set_all({"a": "one", "b": "two"})
    before = credentials.path.stat().st_ino, dict(credentials.hashes())
    credentials.set_all({"a": "one"})
    credentials.remove("nobody")
    assert (credentials.path.stat().st_ino, dict(credentials.hashes())) == before
    credentials.set_all({"a": "another", "b": "two"})
    assert credentials.verify("a", "another")
    assert credentials.hashes()["b"] == before[1]["b"]
