"""`docker-compose.yml` as data, and what its services are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
Service = dict[str, Any]


@cache
def manifest() -> dict[str, Any]:
    """With its anchors followed, and its `${…}` as they stand."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def services() -> dict[str, Service]:
    """All of them, of every profile."""
    found: dict[str, Service] = manifest()["services"]
    return found


def ours() -> dict[str, Service]:
    """Those that run an image of ours."""
    return {name: service for name, service in services().items() if service["image"].startswith("ronda-")}


def once() -> dict[str, Service]:
    """Those that do one thing and end."""
    return {name: service for name, service in services().items() if service["restart"] == "no"}


def lasting() -> dict[str, Service]:
    """Those that stay."""
    return {name: service for name, service in services().items() if name not in once()}


def secrets_of(service: Service) -> dict[str, str]:
    """Where the service finds a secret, by its file name there → the secret's own name."""
    given = service.get("secrets", [])
    return {one: one for one in given if isinstance(one, str)} | {
        one["target"]: one["source"] for one in given if isinstance(one, dict)
    }


def variables() -> set[str]:
    """The names in all `${NAME:-…}`."""
    return set(re.findall(r"\$\{([A-Z0-9_]+)", FILE.read_text(encoding="utf-8")))
