"""The private authority: what it signs is accepted by the strict, kept while it is good, and renewed in time."""

from __future__ import annotations

import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ronda.installation import InstallationError
from ronda.tls.authority import CertificateError, checked_name, fingerprint, issue, names_of, new_authority
from ronda.tls.certs import ensure, make_certificates, own_names
from tests.support.certificates import shaken

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NAMES = ["localhost", "127.0.0.1", "::1", "plant-pc"]


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_openssl_accepts_it_in_strict_mode_by_each_name(tmp_path: Path, name: str) -> None:
    ensure(tmp_path, {"server": NAMES}, datetime.now(UTC))
    by = "-verify_ip" if ":" in name or name[0].isdigit() else "-verify_hostname"
    said = openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", by, name, "-CAfile", tmp_path / "ca.crt",
        tmp_path / "server.crt",
    )  # fmt: skip
    assert said.strip() == f"{tmp_path / 'server.crt'}: OK"


def test_python_accepts_it_in_the_strict_mode_of_its_later_versions(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": NAMES}, datetime.now(UTC))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert shaken(client, server, "plant-pc") is None
    assert "not valid for 'elsewhere'" in str(shaken(client, server, "elsewhere"))


def test_browsers_and_telephones_accept_how_long_it_is_valid() -> None:
    authority = new_authority("plant-pc", NOW)
    server = issue(authority, NAMES, NOW).certificate
    assert server.not_valid_after_utc - server.not_valid_before_utc <= timedelta(days=825)
    assert server.not_valid_before_utc < NOW
    assert authority.certificate.not_valid_after_utc - NOW == timedelta(days=3650)
    assert server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH]
    )


def test_the_authority_signs_no_further_authority() -> None:
    constraints = new_authority("h", NOW).certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_two_authorities_never_bear_one_name() -> None:
    assert new_authority("h", NOW).certificate.subject != new_authority("h", NOW).certificate.subject


def test_keys_are_for_their_owner_alone_and_certificates_for_everybody(tmp_path: Path) -> None:
    ensure(tmp_path / "tls", {"server": NAMES}, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "server.crt": 0o644, "server.key": 0o600}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_what_is_good_is_kept(tmp_path: Path) -> None:
    first = ensure(tmp_path, {"server": NAMES}, NOW)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = ensure(tmp_path, {"server": NAMES[:2]}, NOW + timedelta(days=700))
    assert [made.why for made in first] == ["there was none", "there was none"]
    assert [made.why for made in second] == [None, None]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize(
    ("names", "days", "why"), [([*NAMES, "new.example"], 0, "not for new.example"), (NAMES, 770, "it ends on")]
)
def test_a_server_is_certified_anew_and_the_authority_kept(
    tmp_path: Path, names: list[str], days: int, why: str
) -> None:
    ensure(tmp_path, {"server": NAMES}, NOW)
    authority, server = ensure(tmp_path, {"server": names}, NOW + timedelta(days=days))
    assert authority.why is None
    assert why in str(server.why)
    assert server.ends > NOW + timedelta(days=days + 800)


def test_a_name_that_was_given_once_stays(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": ["localhost", "old.example"]}, NOW)
    _, server = ensure(tmp_path, {"server": ["localhost", "new.example"]}, NOW)
    assert server.names == ["localhost", "new.example", "old.example"]


def test_a_key_of_another_certificate_is_replaced_together_with_it(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": NAMES, "other": NAMES}, NOW)
    (tmp_path / "other.key").replace(tmp_path / "server.key")
    _, server = ensure(tmp_path, {"server": NAMES}, NOW)
    assert "the key is not this certificate's" in str(server.why)


def test_a_certificate_of_another_authority_is_made_anew(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": NAMES}, NOW)
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).unlink()
    _, server = ensure(tmp_path, {"server": NAMES}, NOW)
    assert server.why == "another authority had signed it"


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt"])
def test_half_an_authority_is_never_replaced_silently(tmp_path: Path, lost: str) -> None:
    ensure(tmp_path, {"server": NAMES}, NOW)
    (tmp_path / lost).unlink()
    with pytest.raises(InstallationError, match=f"{lost} is missing: bring it back"):
        ensure(tmp_path, {"server": NAMES}, NOW)


def test_no_host_takes_the_files_of_the_authority(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": NAMES}, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CertificateError, match="authority"):
        ensure(tmp_path, {"ca": ["ca"]}, NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_server_never_outlives_its_authority(tmp_path: Path) -> None:
    ensure(tmp_path, {"server": NAMES}, NOW)
    authority, server = ensure(tmp_path, {"server": NAMES}, NOW + timedelta(days=3500))
    assert server.ends == authority.ends
    with pytest.raises(CertificateError, match=r"the authority ends on 2036-11-19; .* new ca.crt"):
        ensure(tmp_path, {"server": NAMES}, NOW + timedelta(days=3600))


def test_each_host_of_a_stack_has_its_own(tmp_path: Path) -> None:
    _, *hosts = ensure(tmp_path, {host: [host, "localhost"] for host in ("mosquitto", "api")}, NOW)
    assert [(made.path.name, made.names) for made in hosts] == [
        ("mosquitto.crt", ["mosquitto", "localhost"]),
        ("api.crt", ["api", "localhost"]),
    ]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Plant-PC.Example", "plant-pc.example"),
        ("fd00:0::1", "fd00::1"),
        ("my_service", "my_service"),
        ("fábrica.example", "xn--fbrica-pta.example"),
    ],
)
def test_a_name_has_one_way_of_writing_it(name: str, written: str) -> None:
    assert checked_name(name) == written


@pytest.mark.parametrize("name", ["", "https://plant", "a b", "*.example", "-a", "a..b", "10.0.0.1:8883", "x" * 64])
def test_what_is_no_host_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificateError, match="neither a host name nor an IP address"):
        ensure(tmp_path / "tls", {"server": [name]}, NOW)
    assert not (tmp_path / "tls").exists()


def test_this_machine_knows_names_that_a_certificate_can_have() -> None:
    assert all(checked_name(name) == name for name in own_names())


async def test_the_command_says_what_to_copy_and_how_to_recognise_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    await make_certificates(data, ["plant.example"], [], None)
    said = capsys.readouterr().out
    certificate = x509.load_pem_x509_certificate((data / "tls" / "ca.crt").read_bytes())
    assert f"SHA-256 of ca.crt: {fingerprint(certificate)}" in said
    assert fingerprint(certificate) in openssl(
        "x509", "-in", data / "tls" / "ca.crt", "-noout", "-fingerprint", "-sha256"
    )
    assert f"Copy {data / 'tls' / 'ca.crt'} to every device" in said
    server = x509.load_pem_x509_certificate((data / "tls" / "server.crt").read_bytes())
    assert {"localhost", "127.0.0.1", "::1", "plant.example"} <= set(names_of(server))
    await make_certificates(data, [], [], None)
    assert "started again" not in capsys.readouterr().out


async def test_the_command_certifies_other_hosts_elsewhere(tmp_path: Path) -> None:
    await make_certificates(tmp_path / "data", ["10.0.0.7"], ["mosquitto", "api"], tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "ca.crt", "ca.key", "mosquitto.crt", "mosquitto.key", "api.crt", "api.key",
    }  # fmt: skip
    assert not (tmp_path / "data").exists()


async def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept")
    with pytest.raises(InstallationError, match="--data"):
        await make_certificates(tmp_path, [], [], None)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
