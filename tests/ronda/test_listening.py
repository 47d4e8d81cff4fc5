"""Where an installation listens: never open to the network without TLS by accident, and found by its own commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from broker.address import AddressError
from broker.listeners import Listener, TlsFiles
from broker.tls import TlsError, server_context
from ronda.guards import check_port, check_settings, free_port
from ronda.installation import Installation, InstallationError, Runtime
from ronda.settings import Settings, SettingsError
from ronda.tls.certs import ensure
from ronda.tls.listening import (
    Listening,
    check_plain,
    listening,
    material,
    mqtt_listeners,
    own_trust,
    own_url,
    place_of,
    shown_certificate,
)
from tests.support.certificates import certificates, shaken

FILES = TlsFiles(Path("/c.crt"), Path("/c.key"))
RUNTIME = Runtime(
    pid=1,
    base_url="http://127.0.0.1:8000",
    http_port=8000,
    mqtt_host="127.0.0.1",
    mqtt_port=1883,
    database_url="",
    tracking_uri="",
    artifact_root="",
    smtp_host="",
    smtp_port=0,
    own_mail=True,
    broker="embedded",
    agents=[],
)


def settings(**values: str | Path) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]  # pydantic reads the strings


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "fd00::1"])
def test_the_network_without_tls_is_refused_in_one_line_that_helps(address: str) -> None:
    with pytest.raises(InstallationError, match=r"`ronda certs` first, or add --insecure") as refused:
        listening(address, None, insecure=False)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("address", [None, "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_alone_needs_no_tls_and_no_flag(address: str | None) -> None:
    for insecure in (False, True):
        place = listening(address, None, insecure=insecure)
        assert place == Listening(address=address or "127.0.0.1")
        assert place.warnings(datetime.now(UTC)) == []


def test_with_the_flag_it_works_and_warns() -> None:
    place = listening("0.0.0.0", None, insecure=True)
    assert (place.scheme, place.plain_mqtt) == ("http", "0.0.0.0")
    (warning,) = place.warnings(datetime.now(UTC))
    assert "without TLS" in warning


def test_with_tls_the_plain_broker_stays_on_this_machine() -> None:
    place = listening("192.168.1.5", FILES, insecure=False)
    assert mqtt_listeners(place, 1883, 8883) == (
        Listener("127.0.0.1", 1883),
        [Listener("192.168.1.5", 8883, FILES)],
    )
    assert place.scheme == "https"


def test_where_there_is_a_certificate_the_flag_opens_nothing() -> None:
    assert listening("0.0.0.0", FILES, insecure=True) == listening("0.0.0.0", FILES, insecure=False)


@pytest.mark.parametrize("address", ["", "localhost", "plant.example", "0.0.0.0:80"])
def test_what_is_no_address_is_told(address: str) -> None:
    if not address:
        assert listening(address, None, insecure=False).address == "127.0.0.1"
        return
    with pytest.raises(InstallationError, match=r"no IP address; 0\.0\.0\.0 stands for all"):
        listening(address, FILES, insecure=False)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(InstallationError, match=r"--listen 203\.0\.113\.9 is no address of this machine"):
        check_port("203.0.113.9", free_port("127.0.0.1"), "--http-port")


def test_the_settings_come_before_what_was_made_here(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data")
    assert material(settings(), installation) is None
    _, made = certificates(installation.tls)
    assert material(settings(), installation) == made
    _, given = certificates(tmp_path / "given")
    pair = {"tls_cert_file": given.certificate, "tls_key_file": given.key}
    assert material(settings(**pair), installation) == given
    assert material(settings(**pair), None) == given


def test_half_a_pair_and_a_key_of_another_are_told(tmp_path: Path) -> None:
    _, files = certificates(tmp_path / "one")
    _, others = certificates(tmp_path / "other")
    with pytest.raises(SettingsError, match="TLS_CERT_FILE and TLS_KEY_FILE belong together"):
        material(settings(tls_cert_file=files.certificate), None)
    with pytest.raises(TlsError, match="cannot be used"):
        material(settings(tls_cert_file=files.certificate, tls_key_file=others.key), None)


def test_a_certificate_that_ends_soon_or_is_for_other_names_is_told(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    _, files = certificates(tmp_path, ["localhost"], now=now)
    place = listening("0.0.0.0", files, insecure=False)
    assert place.warnings(now, ["localhost"]) == []
    assert place.warnings(now, ["10.0.0.5"]) == [
        "the certificate is not for 10.0.0.5, where clients will refuse it: ronda certs --name 10.0.0.5"
    ]
    assert "ends on" in place.warnings(now + timedelta(days=800))[0]
    with pytest.raises(InstallationError, match="renew it: ronda certs"):
        place.warnings(now + timedelta(days=900))


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1", "https://127.0.0.1:8000"),
        ("0.0.0.0", "https://127.0.0.1:8000"),
        ("::", "https://[::1]:8000"),
        ("10.0.0.5", "https://10.0.0.5:8000"),
    ],
)
def test_own_commands_ask_where_it_listens(listen: str, expected: str) -> None:
    assert own_url(msgspec.structs.replace(RUNTIME, listen=listen, tls_cert_file="c", tls_key_file="k")) == expected


def test_own_commands_trust_the_certificate_that_is_shown_and_no_other(tmp_path: Path) -> None:
    names = ["somewhere.example"]
    ensure(tmp_path, {"shown": names, "sibling": names}, datetime.now(UTC))
    shown, sibling = (TlsFiles(tmp_path / f"{name}.crt", tmp_path / f"{name}.key") for name in ("shown", "sibling"))
    # As administrators get it: with the certificates above it in the same file, which sign others too.
    shown.certificate.write_text(shown.certificate.read_text() + (tmp_path / "ca.crt").read_text())
    trust = own_trust(msgspec.structs.replace(RUNTIME, certificate=shown_certificate(shown)))
    assert trust is not None
    assert shaken(trust, server_context(shown), "127.0.0.1") is None
    assert "certificate verify failed" in str(shaken(trust, server_context(sibling), "somewhere.example"))


def test_a_plain_installation_and_one_of_an_older_version_are_read_alike(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data")
    installation.create()
    new = {"listen", "insecure", "mqtts_port", "tls_cert_file", "tls_key_file", "certificate"}
    old = {name: value for name, value in msgspec.to_builtins(RUNTIME).items() if name not in new}
    (installation.root / "run.json").write_bytes(msgspec.json.encode(old))
    assert installation.runtime() == RUNTIME
    assert place_of(RUNTIME) == Listening()
    assert own_url(RUNTIME) == "http://127.0.0.1:8000"
    assert own_trust(RUNTIME) is None


def test_a_broker_that_could_not_be_trusted_is_told_before_anything_starts(tmp_path: Path) -> None:
    ca, _ = certificates(tmp_path)
    check_settings(settings(mqtt_url="mqtts://u:p@h", mqtt_ca_file=ca))
    with pytest.raises(AddressError, match="MQTT_CA_FILE"):
        check_settings(settings(mqtt_url="mqtt://u:p@h", mqtt_ca_file=ca))
    with pytest.raises(TlsError, match=r"nowhere.*ca.crt"):
        check_settings(settings(mqtt_url="mqtts://u:p@h", mqtt_ca_file=tmp_path / "nowhere"))


def test_proxies_are_addresses_or_networks_and_never_everybody() -> None:
    assert settings(trusted_proxies="10.0.0.0/8, 127.0.0.1").proxies == ["10.0.0.0/8", "127.0.0.1"]
    assert settings().proxies == []
    for nonsense in ("*", "proxy.example", "10.0.0.1/8"):
        with pytest.raises(ValueError, match="neither an IP address nor a network"):
            settings(trusted_proxies=nonsense)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_a_part_without_passwords_is_free_on_the_loopback(address: str) -> None:
    assert check_plain("--host", address, insecure=False) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.10", "::", "mlflow"])
def test_beyond_it_a_part_without_passwords_wants_to_be_told_and_warns(address: str) -> None:
    with pytest.raises(InstallationError, match="--insecure"):
        check_plain("--host", address, insecure=False)
    assert "everybody" in (check_plain("--host", address, insecure=True) or "")
