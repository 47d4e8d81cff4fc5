"""Gate P4: what an evaluator reads is there, and what it says was really run."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ronda.checks.api import Door
from ronda.checks.line import Check, FailedCheckError, NeedsAccountError

DOCUMENTS = ("README.md", "README_PORTUGUES.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md", ".env.example")
EVIDENCE = Path("docs/evidence")
_INDEX = EVIDENCE / "README.md"
_LOAD = EVIDENCE / "load" / "load.json"
_FILES: Mapping[str, tuple[str, str]] = {
    "executed notebooks": ("docs/notebooks/*.md", "make notebooks"),
    "the device's serial log": ("docs/esp32/serial-log.txt", "see docs/esp32"),
    "the stack's transcript": ("docs/evidence/compose-test.txt", "make compose-test"),
    "the recorded walk": ("docs/evidence/golden-path/*.webm", "make recording"),
}


def checks(door: Door, repository: Path) -> Mapping[str, Check]:
    """The gate's lines by name."""
    found: dict[str, Check] = {
        "documents": partial(_documents, repository),
        "evidence is indexed": partial(_indexed, repository),
        "the load proof": partial(_load, repository),
    }
    found |= {name: partial(_there, repository, *where) for name, where in _FILES.items()}
    return found | {"public addresses": partial(_public, door)}


async def _documents(repository: Path) -> str:
    if missing := [name for name in DOCUMENTS if not (repository / name).is_file()]:
        raise FailedCheckError(f"{', '.join(missing)} not in {repository}", "run it in a checkout, or say --repository")
    return f"{len(DOCUMENTS)} documents"


async def _indexed(repository: Path) -> str:
    index = _text(repository / _INDEX)
    files = sorted(path.relative_to(repository / EVIDENCE) for path in (repository / EVIDENCE).iterdir())
    if unnamed := [str(path) for path in files if path.name != _INDEX.name and str(path) not in index]:
        raise FailedCheckError(f"{_INDEX} does not name {', '.join(unnamed)}", f"name them in {_INDEX}")
    return f"{len(files) - 1} pieces, each named in {_INDEX}"


async def _load(repository: Path) -> str:
    try:
        proof = json.loads(_text(repository / _LOAD))
        runs = [(run["script"], float(run["requests_per_s"]), int(run["failures"])) for run in proof["runs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise FailedCheckError(f"{_LOAD} cannot be read: {error}", "make load") from error
    weak = [name for name, rate, failures in runs if rate < 103 or failures]
    said = "; ".join(f"{name} {rate:,.0f}/s, {failures} failures" for name, rate, failures in runs)
    if weak or not runs:
        raise FailedCheckError(said or "no run in it", "make load")
    return f"{said}, on {proof['machine']}"


async def _there(repository: Path, pattern: str, command: str) -> str:
    files = await asyncio.to_thread(_files, repository, pattern)
    if not files:
        raise FailedCheckError(f"nothing at {pattern}", command)
    return f"{len(files)} at {pattern}"


def _files(repository: Path, pattern: str) -> list[Path]:
    return [path for path in repository.glob(pattern) if path.stat().st_size]


async def _public(door: Door) -> str:
    host = urlsplit(door.base_url).hostname or ""
    if urlsplit(door.base_url).scheme != "https" or _is_private(host):
        raise NeedsAccountError(
            f"{door.base_url} is not a public address: not deployed",
            "an account with a host: for Render `render blueprints validate`, then New > Blueprint with this "
            "repository; for a cluster deploy/kubernetes/README.md, then `kubectl apply -k`; then set API_BASE_URL",
        )
    async with door.anonymous() as http:
        answer = await http.get("/healthz")
    if answer.status_code != 200:
        raise FailedCheckError(f"{door.base_url}/healthz answers {answer.status_code}", "look into the log of the API")
    return f"{door.base_url} answers"


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # A name of the public net has a dot and is none of those that stay inside (RFC 6761, RFC 6762).
        return "." not in host or host.rpartition(".")[2] in {"local", "localhost", "internal", "test"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FailedCheckError(
            f"{path} cannot be read: {error.strerror}", "run it in a checkout, or say --repository"
        ) from None
