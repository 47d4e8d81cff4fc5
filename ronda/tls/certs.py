"""`ronda certs`: the private authority of an installation and its servers' certificates, as files."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ronda.installation import Installation, InstallationError, write_private
from ronda.tls.authority import (
    CertificateError,
    Certified,
    checked_name,
    fingerprint,
    issue,
    names_of,
    new_authority,
    read,
    reason_to_renew,
)

AUTHORITY, SERVER = "ca", "server"
_ALWAYS = ("localhost", "127.0.0.1", "::1")
# Addresses of the documentation (RFC 5737, RFC 3849): a datagram socket that is "connected" there sends nothing, but
# knows which of this machine's addresses it would use.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one certificate: `why` it was made, or None when the one that was there is kept."""

    path: Path
    why: str | None
    names: Sequence[str]
    ends: datetime
    fingerprint: str


async def make_certificates(data: Path, names: Sequence[str], hosts: Sequence[str], to: Path | None) -> None:
    """Make or renew what is needed in `to`, by default the installation's own folder, and say what was done.

    `names`: further names of the server. `hosts`: instead of one server's, a certificate for each of these hosts.
    """
    folder = to
    if folder is None:
        installation = Installation(data)
        installation.create()
        folder = installation.tls
    wanted = {host: [host, *_ALWAYS, *names] for host in hosts} or {SERVER: [*own_names(), *_ALWAYS, *names]}
    authority, *servers = ensure(folder, wanted, datetime.now(UTC))
    for made in (authority, *servers):
        print(f"{made.path}  {'kept' if made.why is None else f'made: {made.why}'}; until {made.ends:%Y-%m-%d}")
        if made.names:
            print(f"  for {', '.join(made.names)}")
    print(
        f"  SHA-256 of {authority.path.name}: {authority.fingerprint}\n\n"
        f"Copy {authority.path} to every device, browser and client: by it they know these servers.\n"
        f"The .key files stay here; ca.key is needed for the next certificate only, and may be kept elsewhere."
    )
    if any(made.why for made in servers):
        print("A server that runs already shows the new certificate once it is started again.")


def ensure(folder: Path, hosts: Mapping[str, Sequence[str]], now: datetime) -> list[Made]:
    """The authority in `folder` and for each entry of `hosts` the files `<entry>.crt` and `<entry>.key` for its names.

    What is there and still good is kept; a certificate that is made again keeps the names it had. The authority comes
    first in the answer. Raises: CertificateError, InstallationError in one line.
    """
    if AUTHORITY in hosts:
        raise CertificateError(f"{AUTHORITY}.crt is the authority's own file: call this host by another of its names")
    wanted = {host: list(dict.fromkeys(map(checked_name, names))) for host, names in hosts.items()}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, why = _authority(folder, now)
        made = [_told(folder / f"{AUTHORITY}.crt", authority, why)]
        return made + [_server(folder, host, names, authority, now) for host, names in wanted.items()]
    except OSError as error:
        raise InstallationError(f"cannot use {error.filename or folder}: {error.strerror}") from error


def own_names() -> list[str]:
    """This machine's name and the addresses under which others reach it, as far as it knows them."""
    host = socket.gethostname()
    names = [host, socket.getfqdn()]
    with contextlib.suppress(OSError):
        names += [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    names += [address for family, there in _ELSEWHERE if (address := _outward(family, there))]
    return list(dict.fromkeys(_fit(names)))


def main_address() -> str:
    """The address of this machine that others most likely reach it by."""
    return _outward(*_ELSEWHERE[0]) or "127.0.0.1"


def _outward(family: socket.AddressFamily, there: str) -> str | None:
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((there, 9))
        return str(probe.getsockname()[0])
    return None


def _fit(names: Iterable[str]) -> Iterable[str]:
    """A machine may have a name that no certificate can have, or an address of one link only: left out."""
    for name in names:
        with contextlib.suppress(CertificateError):
            if "%" not in name:
                yield checked_name(name)


def _authority(folder: Path, now: datetime) -> tuple[Certified, str | None]:
    certificate, key = folder / f"{AUTHORITY}.crt", folder / f"{AUTHORITY}.key"
    if not certificate.exists() and not key.exists():
        made = new_authority(socket.gethostname(), now)
        _write(folder, AUTHORITY, made)
        return made, "there was none"
    try:
        return read(certificate.read_bytes(), key.read_bytes()), None
    except FileNotFoundError as error:
        raise InstallationError(f"{error.filename} is missing: bring it back, or move {folder} away") from error
    except CertificateError as error:
        raise InstallationError(f"{certificate} and {key}: {error}; bring them back, or move {folder} away") from error


def _server(folder: Path, host: str, names: Sequence[str], authority: Certified, now: datetime) -> Made:
    path = folder / f"{host}.crt"
    known, why = _known(path, folder / f"{host}.key")
    if known is not None:
        why = reason_to_renew(known, authority, names, now)
        if why is None:
            return _told(path, known, None)
        # Devices may use a name that was given long ago.
        names = list(dict.fromkeys([*names, *names_of(known.certificate)]))
    made = issue(authority, names, now)
    _write(folder, host, made)
    return _told(path, made, why)


def _known(certificate: Path, key: Path) -> tuple[Certified | None, str | None]:
    """What is there, or why it is as good as nothing."""
    try:
        return read(certificate.read_bytes(), key.read_bytes()), None
    except FileNotFoundError:
        return None, "there was none"
    except CertificateError as error:
        return None, str(error)


def _write(folder: Path, stem: str, made: Certified) -> None:
    write_private(folder / f"{stem}.key", made.key_pem())
    certificate = folder / f"{stem}.crt"
    write_private(certificate, made.certificate_pem())
    # Public: others copy it from here.
    certificate.chmod(0o644)


def _told(path: Path, made: Certified, why: str | None) -> Made:
    certificate = made.certificate
    return Made(
        path=path,
        why=why,
        names=names_of(certificate),
        ends=certificate.not_valid_after_utc,
        fingerprint=fingerprint(certificate),
    )
