"""TLS between a broker and its parties: what a server shows, whom a client trusts, and a refusal in words."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

from broker.listeners import TlsFiles
from contract.errors import RondaError

# Older versions are broken (RFC 8996); ESP32 boards speak 1.2, everything else 1.3.
_OLDEST = ssl.TLSVersion.TLSv1_2
# A handshake with a server that is there takes milliseconds, over a slow radio a second.
_PROBE_TIMEOUT_S = 3.0
# OpenSSL's X509_V_ERR_…: certificate not yet valid, expired, host name mismatch, IP address mismatch.
_NOT_YET, _EXPIRED, _OTHER_NAMES = 9, 10, (62, 64)


class TlsError(RondaError):
    """A certificate, key or authority that cannot be used; the text says which file and what to do."""


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For a listener. Raises: TlsError when a file is missing, no PEM, or the key is another certificate's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        raise TlsError(
            f"the certificate {files.certificate} with the key {files.key} cannot be used "
            f"({_why(error)}); `ronda certs` makes both"
        ) from error
    return context


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """For a client: trusts what `ca_file` signed, or else whom the system trusts; always checks the host name.

    Raises: TlsError when the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TlsError(
            f"the authority {ca_file} cannot be used ({_why(error)}); it must be the ca.crt that `ronda certs` made"
        ) from error
    context.minimum_version = _OLDEST
    return context


def mistrust(error: ssl.SSLCertVerificationError, host: str, ca_file: Path | None) -> str:
    """Why the certificate of `host` is not believed, and what to do."""
    if error.verify_code in _OTHER_NAMES:
        return (
            f"its certificate is not for the name {host}; connect by a name that it has, "
            f"or add this one where the broker is: ronda certs --name {host}"
        )
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; run `ronda certs` where the broker is, and start it again"
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet; set this machine's clock"
    trusted = f"the authority in {ca_file}" if ca_file else "an authority that this system trusts"
    return (
        f"its certificate was not signed by {trusted} ({error.verify_message}); "
        "set MQTT_CA_FILE to a copy of the ca.crt that `ronda certs` made where the broker is"
    )


def speaks_tls(host: str, port: int) -> bool:
    """Does a TLS server answer there? Whether its certificate could be trusted does not matter for that."""
    with contextlib.suppress(OSError):
        try:
            with (
                socket.create_connection((host, port), _PROBE_TIMEOUT_S) as plain,
                client_context(None).wrap_socket(plain, server_hostname=host),
            ):
                return True
        except ssl.SSLCertVerificationError:
            return True
    return False


def _why(error: OSError) -> str:
    return error.strerror or str(error.reason if isinstance(error, ssl.SSLError) else error)
