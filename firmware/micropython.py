"""Fetches MicroPython for this machine: `python -m firmware.micropython` prints what to type in its place.

Debian's own packages of the 32-bit build (integers as on the ESP32), unpacked into a folder and run by their own
dynamic loader: nothing is installed. Versions come from apt, the mirror from the machine's own apt sources.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".micropython_cache"
# The first release of Debian with MicroPython 1.25.
SUITE = "trixie"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PACKAGES = ("micropython", "libc6", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7")
_LIBRARIES = Path("usr/lib/i386-linux-gnu")
_PROGRAM = Path("usr/bin/micropython")
# An index of 9 MB and packages of 4 MB; a slow line needs minutes, a dead one must not hang for ever.
_WITHIN_S = 300
_TRIES = 3


class FetchError(Exception):
    """MicroPython cannot be had here; the text says what failed and what to do."""


def command(cache: Path = CACHE) -> list[str]:
    """What starts MicroPython, fetched when it is not there yet. Raises: FetchError."""
    folder = cache / SUITE
    if not (folder / _PROGRAM).exists():
        _check_machine()
        _fetch(folder)
    libraries = folder / _LIBRARIES
    return [str(libraries / "ld-linux.so.2"), "--library-path", str(libraries), str(folder / _PROGRAM)]


def mirror(sources: str) -> str:
    """The mirror of Debian's main archive among apt's targets, one address and suite a line. Raises: FetchError."""
    for line in sources.splitlines():
        address, _, origin = line.partition(" ")
        if address.rstrip("/").endswith("/debian") and "security" not in origin:
            return address
    raise FetchError("apt's sources on this machine name no Debian mirror (an address that ends in /debian)")


def _check_machine() -> None:
    if platform.machine() not in {"x86_64", "i686"}:
        raise FetchError(f"MicroPython's 32-bit build runs on Intel and AMD machines, not on {platform.machine()}")
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing or not _KEYRING.exists():
        wanted = ", ".join([*missing, *([] if _KEYRING.exists() else [str(_KEYRING)])])
        raise FetchError(f"this needs Debian, or its packages apt, dpkg and debian-archive-keyring; missing: {wanted}")


def _fetch(folder: Path) -> None:
    """Into a folder beside, then at once in its place: what is there is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        root = Path(scratch)
        address = mirror(_run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"], root))
        options = _private_apt(root, address)
        _run(["apt-get", *options, "update"], root)
        _run(["apt-get", *options, "download", *_PACKAGES], root)
        for package in sorted(root.glob("*.deb")):
            _run(["dpkg-deb", "-x", package.name, "unpacked"], root)
        if folder.exists():
            shutil.rmtree(folder)
        (root / "unpacked").replace(folder)


def _private_apt(root: Path, address: str) -> list[str]:
    """The options by which apt knows one mirror, one release and no packages, all below `root`."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {address} {SUITE} main\n", encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": str(root / "sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State": str(root / "state"),
        "Dir::State::status": str(root / "status"),
        "Dir::Cache": str(root / "cache"),
        "APT::Architecture": "i386",
        "APT::Architectures": "i386",
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke-Success": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": str(_TRIES),
        # Without it apt calls a mirror that cannot be reached a warning.
        "APT::Update::Error-Mode": "any",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _run(arguments: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # words of our own
            arguments,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"`{_short(arguments)}` did not end within {_WITHIN_S} s: is the network there?") from error
    if done.returncode:
        said = "\n".join(re.findall(r"^[EW]: .*$|^dpkg.*$", done.stderr, re.MULTILINE)) or done.stderr
        raise FetchError(
            f"`{_short(arguments)}` failed; MicroPython is fetched once, from Debian's mirror, and needs the network:\n"
            f"{said.strip()}"
        )
    return done.stdout


def _short(arguments: list[str]) -> str:
    """The command without its options."""
    words = iter(arguments)
    return " ".join(word for word in words if not (word == "-o" and next(words)))


def main() -> None:
    """Print the command, ready for a shell."""
    try:
        print(" ".join(command()))  # noqa: T201  # the answer
    except FetchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
