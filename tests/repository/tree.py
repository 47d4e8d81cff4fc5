"""What is in the repository: its files, packages and lock."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("contract", "detection", "broker", "edge", "cloud", "dashboard", "ronda")
_NOT_OURS = {".git", ".venv", ".tools", "__pycache__", "data", "dist", "node_modules"}
# Pictures, fonts and scripts that others wrote are not read as text.
_TEXT = {"", ".py", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ".sh", ".css", ".js", ".ini", ".mako", ".example"}


def text_files() -> Iterator[tuple[Path, str]]:
    """(path in the repository, text) of every file that belongs to it."""
    for path in _files():
        if (ROOT / path).is_file() and path.suffix in _TEXT:
            yield path, (ROOT / path).read_text(encoding="utf-8")


def _files() -> list[Path]:
    """What git would commit; without git, what lies there."""
    git = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True, check=False, timeout=60)
    if listed.returncode == 0:
        return [Path(name) for name in listed.stdout.split("\0") if name]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [path for path in found if not _NOT_OURS & set(path.parts) and not path.parts[0].endswith("_cache")]


@cache
def lock() -> dict[str, Any]:
    """`uv.lock` as data."""
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


def required(*extras: str) -> set[str]:
    """Every package that `pip install ".[extras]"` brings, for any system: followed through the lock."""
    packages = {package["name"]: package for package in lock()["package"]}
    waiting, seen = [("ronda", tuple(extras))], set[tuple[str, str]]()
    while waiting:
        name, wanted = waiting.pop()
        for extra in ("", *wanted):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(need["name"], tuple(need.get("extra", ()))) for need in _needs(packages[name], extra)]
    return {name for name, _ in seen}


def _needs(package: dict[str, Any], extra: str) -> list[dict[str, Any]]:
    if extra:
        return list(package.get("optional-dependencies", {}).get(extra, []))
    return list(package.get("dependencies", []))
