"""Where an installation listens, with or without TLS, and how its own commands reach it there."""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from broker.listeners import Listener, TlsFiles, bracketed, is_loopback, reached_at
from broker.tls import server_context
from ronda.guards import LOOPBACK
from ronda.installation import Installation, InstallationError, Runtime
from ronda.settings import Settings, SettingsError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

log = logging.getLogger("ronda.listening")

# A month is time enough for a person to run `ronda certs`.
_ENDS_SOON = timedelta(days=30)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """`tls`: everything on `address` is encrypted with these files. `insecure`: the network hears all, on purpose."""

    address: str = LOOPBACK
    tls: TlsFiles | None = None
    insecure: bool = False

    @property
    def scheme(self) -> str:
        """Of HTTP's addresses."""
        return "https" if self.tls else "http"

    @property
    def plain_mqtt(self) -> str:
        """Where MQTT without TLS is spoken: this machine, unless it was asked for otherwise."""
        return self.address if self.insecure else LOOPBACK

    def warnings(self, now: datetime, names: Sequence[str] = ()) -> list[str]:
        """What a person should know: open to the network without TLS, or a certificate that soon will not do.

        `names`: by which others are told to come here. Raises: InstallationError when the certificate has expired.
        """
        if self.insecure:
            risk = "passwords and readings can be read on the way, unless a proxy or a closed network protects them"
            return [f"{self.address} is open to the network without TLS (--insecure): {risk}"]
        return [] if self.tls is None else _warnings(self.tls, names, now)

    def warned(self, names: Sequence[str] = ()) -> list[str]:
        """The warnings of now, which are logged too."""
        found = self.warnings(datetime.now(UTC), names)
        for warning in found:
            log.warning("listening.warned", extra={"address": self.address, "detail": warning})
        return found


def material(settings: Settings, installation: Installation | None) -> TlsFiles | None:
    """The certificate to listen with: that of the settings, else what `ronda certs` made, else None.

    Raises: SettingsError for half of a pair; TlsError for files that cannot be used.
    """
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if (certificate is None) != (key is None):
        raise SettingsError("TLS_CERT_FILE and TLS_KEY_FILE belong together: set both, or neither")
    if (certificate is None or key is None) and installation is not None:
        certificate, key = installation.tls / "server.crt", installation.tls / "server.key"
        if not certificate.exists():
            return None
    if certificate is None or key is None:
        return None
    files = TlsFiles(certificate.absolute(), key.absolute())
    server_context(files)
    return files


def listening(address: str | None, tls: TlsFiles | None, *, insecure: bool) -> Listening:
    """What was asked for. Raises: InstallationError when it would be open to the network without TLS by accident."""
    address = address or LOOPBACK
    try:
        outside = not is_loopback(address)
    except ValueError as error:
        raise InstallationError(
            f"--listen {address!r} is no IP address; 0.0.0.0 stands for all of this machine"
        ) from error
    if outside and tls is None and not insecure:
        raise InstallationError(
            f"--listen {address} without TLS would send passwords and readings in the clear: run `ronda certs` first, "
            "or add --insecure where a proxy or a closed network protects it"
        )
    return Listening(address=address, tls=tls, insecure=outside and tls is None)


def check_plain(option: str, address: str, *, insecure: bool) -> str | None:
    """For a part that has neither TLS nor passwords of its own: what to warn of, None on the loopback.

    Raises: InstallationError when others would reach it by accident.
    """
    with contextlib.suppress(ValueError):
        if address == "localhost" or is_loopback(address):
            return None
    if not insecure:
        raise InstallationError(
            f"{option} {address} would let everybody in who reaches it: there is neither TLS nor a password; add "
            "--insecure where only yours are in the network"
        )
    return f"{option} {address}: everybody who reaches it is let in, and nothing is encrypted"


def mqtt_listeners(place: Listening, port: int, tls_port: int) -> tuple[Listener, list[Listener]]:
    """The broker's plain listener, and those beside it."""
    further = [Listener(place.address, tls_port, place.tls)] if place.tls else []
    return Listener(place.plain_mqtt, port), further


def place_of(runtime: Runtime) -> Listening:
    """As `ronda up` decided it."""
    tls = TlsFiles(Path(runtime.tls_cert_file), Path(runtime.tls_key_file)) if runtime.tls_cert_file else None
    return Listening(address=runtime.listen, tls=tls, insecure=runtime.insecure)


def own_url(runtime: Runtime) -> str:
    """Where this machine's own commands ask the API."""
    return f"{place_of(runtime).scheme}://{bracketed(reached_at(runtime.listen))}:{runtime.http_port}"


def own_trust(runtime: Runtime) -> ssl.SSLContext | None:
    """Trusts the very certificate that this installation shows, and nothing else; None where it speaks plain HTTP."""
    if not runtime.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only the holder of its key can show this certificate, whoever signed it and whatever names it has: our own
    # commands come by the loopback address, for which an administrator's certificate need not be.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=runtime.certificate)
    return context


def shown_certificate(tls: TlsFiles | None) -> str:
    """The first certificate of the file (PEM), which is the server's own; empty without TLS."""
    if tls is None:
        return ""
    found = _PEM.search(tls.certificate.read_text(encoding="ascii", errors="replace"))
    return found[0] if found else ""


def _warnings(tls: TlsFiles, names: Sequence[str], now: datetime) -> list[str]:
    from cryptography.x509 import load_pem_x509_certificate

    certificate = load_pem_x509_certificate(shown_certificate(tls).encode())
    return [*_of_time(certificate, tls, now.astimezone(UTC)), *_of_names(certificate, names)]


def _of_time(certificate: Certificate, tls: TlsFiles, now: datetime) -> list[str]:
    ends = certificate.not_valid_after_utc
    if ends <= now:
        raise InstallationError(f"the certificate {tls.certificate} ended on {ends:%Y-%m-%d}; renew it: ronda certs")
    if ends - _ENDS_SOON <= now:
        return [f"the certificate {tls.certificate} ends on {ends:%Y-%m-%d}: renew it (ronda certs) and start again"]
    return []


def _of_names(certificate: Certificate, names: Sequence[str]) -> list[str]:
    from ronda.tls.authority import names_of

    known = names_of(certificate)
    return [
        f"the certificate is not for {name}, where clients will refuse it: ronda certs --name {name}"
        for name in names
        if name not in known
    ]
