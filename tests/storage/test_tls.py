"""TLS to a real PostgreSQL, in every mode that an address may name, and what a person reads when it cannot be."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from cloud.storage.errors import DatabaseError
from tests.storage.certificates import Authority
from tests.storage.tls_server import TlsServer

_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


class Secured(NamedTuple):
    """A server whose certificate is for `localhost`, and the files beside it."""

    url: str
    authority: Path
    stranger: Path
    certificate: Path
    key: Path
    revoked: Path


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    # Not pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        folder.chmod(0o755)
        authority, stranger = Authority(folder, "plant"), Authority(folder, "stranger")
        certificate, key = authority.signed("database", "localhost")
        revoked = authority.revocation(authority.last)
        server = TlsServer(folder / "server", certificate, key, authority.file)
        server.start()
        mine, my_key = authority.signed("ronda", "ronda")
        yield Secured(server.url, authority.file, stranger.file, mine, my_key, revoked)
        server.stop()


async def _is_encrypted(url: str) -> bool:
    database = Database(url)
    try:
        async with asyncio.timeout(30):
            await database.open()
            async with database.begin() as connection:
                return bool(await connection.scalar(text(_ENCRYPTED)))
    finally:
        await database.close()


def _by_name(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize(("options", "encrypted"), [
    ("sslmode=disable", False), ("", True), ("sslmode=prefer", True), ("sslmode=allow", False),
    ("sslmode=require", True), ("ssl=true", True),
])  # fmt: skip
async def test_modes_that_check_nothing(secured: Secured, options: str, encrypted: bool) -> None:
    assert await _is_encrypted(f"{secured.url}?{options}") is encrypted


async def test_verify_full_accepts_the_name_in_the_certificate(secured: Secured) -> None:
    assert await _is_encrypted(f"{_by_name(secured.url)}?sslmode=verify-full&sslrootcert={secured.authority}")


async def test_verify_full_refuses_another_host_and_says_what_to_do(secured: Secured) -> None:
    with pytest.raises(DatabaseError) as caught:
        await _is_encrypted(f"{secured.url}?sslmode=verify-full&sslrootcert={secured.authority}")
    assert str(caught.value) == (
        "the certificate of the database is refused, IP address mismatch, certificate is not valid for '127.0.0.1': "
        "connect by a name that it has; sslmode=verify-ca accepts any name of a trusted authority"
    )


async def test_verify_ca_accepts_any_host_of_a_trusted_authority(secured: Secured) -> None:
    assert await _is_encrypted(f"{secured.url}?sslmode=verify-ca&sslrootcert={secured.authority}")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_an_authority_that_is_named_must_have_signed(secured: Secured, mode: str) -> None:
    with pytest.raises(DatabaseError, match="name the authority that signed it with sslrootcert"):
        await _is_encrypted(f"{_by_name(secured.url)}?sslmode={mode}&sslrootcert={secured.stranger}")


@pytest.mark.parametrize("options", ["sslmode=verify-full", "sslmode=verify-full&sslrootcert=system"])
async def test_the_system_does_not_trust_a_private_authority(secured: Secured, options: str) -> None:
    with pytest.raises(DatabaseError, match="name the authority that signed it with sslrootcert"):
        await _is_encrypted(f"{_by_name(secured.url)}?{options}")


async def test_a_revoked_certificate_is_refused(secured: Secured) -> None:
    trusted = f"{secured.url}?sslmode=verify-ca&sslrootcert={secured.authority}"
    with pytest.raises(DatabaseError, match="certificate revoked"):
        await _is_encrypted(f"{trusted}&sslcrl={secured.revoked}")


async def test_a_server_may_ask_for_our_certificate(secured: Secured) -> None:
    trusted = f"{secured.url}?sslmode=verify-ca&sslrootcert={secured.authority}"
    shown = f"{trusted}&sslcert={secured.certificate}&sslkey={secured.key}"
    database = Database(shown)
    await database.open()
    async with database.begin() as connection:
        subject = await connection.scalar(text("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    await database.close()
    assert subject == "/CN=ronda"


async def test_a_server_without_tls_is_said_in_one_line(postgres: str) -> None:
    with pytest.raises(DatabaseError, match=r"^the database offers no TLS: sslmode=disable does without, [^\n]*$"):
        await _is_encrypted(f"{postgres}?sslmode=require")


@pytest.mark.parametrize(("options", "complaint"), [
    ("sslmode=verify", "sslmode=verify is none of disable, allow, prefer, require, verify-ca, verify-full"),
    ("sslrootcert=/ca.crt", "sslrootcert needs sslmode=require, verify-ca or verify-full; here it is not set"),
    ("sslmode=prefer&sslcert=/a.crt", "sslcert needs sslmode=require, verify-ca or verify-full; here it is prefer"),
    ("sslmode=verify-full&sslrootcert=/no/ca.crt", "sslrootcert=/no/ca.crt: No such file or directory"),
    ("sslmode=verify-full&sslrootcert=/dev/null", "sslrootcert=/dev/null: is no PEM file of that kind"),
    ("sslmode=verify-ca&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full; here it is verify-ca"),
    ("sslmode=require&sslkey=/a.key", "sslkey needs sslcert, the certificate that it belongs to"),
    ("sslmode=require&sslcert=/no/a.crt", "sslcert=/no/a.crt: No such file or directory"),
])  # fmt: skip
async def test_what_cannot_work_is_said_in_one_line(options: str, complaint: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        await Database(f"postgresql://ronda@localhost/ronda?{options}").open()
    assert str(caught.value).startswith(f"DATABASE_URL: {complaint}")
    assert "\n" not in str(caught.value)
