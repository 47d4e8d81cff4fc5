"""A private certificate authority: who it is, what it signs, and when a certificate must be made anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.errors import RondaError

_AUTHORITY_DAYS = 3650
# Apple's systems refuse a server certificate of a private authority that is valid for more than 825 days.
_SERVER_DAYS = 824
# Two months, so that nobody need do it on a given day.
_RENEW_BEFORE = timedelta(days=60)
# A device whose clock is a little behind must not find a certificate of the future.
_CLOCK_SLACK = timedelta(hours=1)
# RFC 5280, appendix A: the upper bound of a common name.
_MOST_IN_A_NAME = 64
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")


class CertificateError(RondaError):
    """What was asked for cannot be certified; the text says why and what to do."""


@dataclass(frozen=True)
class Certified:
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def key_pem(self) -> bytes:
        """The key, not encrypted: a server must start without a person."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def certificate_pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def read(certificate_pem: bytes, key_pem: bytes) -> Certified:
    """From files. Raises: CertificateError when they are none, or do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"no certificate with its key ({error})") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError("the key is not this certificate's")
    return Certified(certificate, key)


def new_authority(host: str, now: datetime) -> Certified:
    """An authority of its own, for ten years; it signs servers and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Two installations' authorities must not bear one name: a client that trusts both finds them by it.
    name = _name(f"Ronda authority {identifier.digest.hex()[:8]} of {host}")
    builder = (
        _builder(name, name, key.public_key(), now, now + timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Certified(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Certified, names: Sequence[str], now: datetime) -> Certified:
    """A server's certificate for these host names and addresses, never longer than the authority's own.

    Raises: CertificateError for a name that no host can have, or an authority that is about to end.
    """
    authority_ends = authority.certificate.not_valid_after_utc
    if authority_ends - _RENEW_BEFORE <= now:
        raise CertificateError(
            f"the authority ends on {authority_ends:%Y-%m-%d}; move its folder away, run this again, "
            "and copy the new ca.crt to every device"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    ends = min(now + timedelta(days=_SERVER_DAYS), authority_ends)
    builder = (
        _builder(_name(names[0]), authority.certificate.subject, key.public_key(), now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
    )
    return Certified(builder.sign(authority.key, hashes.SHA256()), key)


def reason_to_renew(server: Certified, authority: Certified, names: Iterable[str], now: datetime) -> str | None:
    """Why the server's certificate must be made anew, or None."""
    if missing := [name for name in names if name not in names_of(server.certificate)]:
        return f"it was not for {', '.join(missing)}"
    if not _signed_by(server.certificate, authority.certificate):
        return "another authority had signed it"
    if server.certificate.not_valid_after_utc - _RENEW_BEFORE <= now:
        return f"it ends on {server.certificate.not_valid_after_utc:%Y-%m-%d}"
    return None


def names_of(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that it is for, in its order."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as browsers and `openssl x509 -fingerprint -sha256` show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def checked_name(name: str) -> str:
    """The host name or address in the one way of writing it. Raises: CertificateError."""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        plain = name.encode("idna").decode().lower()
    except UnicodeError:
        plain = ""
    if not _HOST.fullmatch(plain):
        raise CertificateError(f"{name!r} is neither a host name nor an IP address")
    return plain


def _alternative(name: str) -> x509.GeneralName:
    plain = checked_name(name)
    try:
        return x509.IPAddress(ip_address(plain))
    except ValueError:
        return x509.DNSName(plain)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:_MOST_IN_A_NAME])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - _CLOCK_SLACK).astimezone(UTC))
        .not_valid_after(ends.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """RFC 5280, section 4.2.1.3; OpenSSL 3 in strict mode and browsers hold both kinds to it."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
