"""The data folder of the embedded PostgreSQL: made whole or not at all, with a password from its first moment."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import msgspec

from cloud.storage.errors import PostgresError
from cloud.storage.postgres_process import Account, data_argument, run

# The role and the database of the application. It is no superuser; that one has no password and cannot log in.
NAME = "ronda"
_SUPERUSER = "postgres"

# Local sockets are not opened at all; over the loopback only with the password.
_HOST_ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"


class Cluster(msgspec.Struct, frozen=True):
    """A data folder, the programs that fit it and the user that owns it (None: ourselves)."""

    folder: Path
    installation: Path
    owner: Account | None

    @property
    def program(self) -> Path:
        """The server program."""
        return self.installation / "bin" / "postgres"


def version(folder: Path) -> int | None:
    """The PostgreSQL major version that made `folder`; None when there is no database yet.

    Raises: PostgresError when something else is there.
    """
    if not folder.exists():
        return None
    try:
        return int((folder / "PG_VERSION").read_text())
    except (OSError, ValueError) as error:
        raise PostgresError(
            f"{folder} is not a readable PostgreSQL database ({error}): restore it, or move it away to begin anew"
        ) from error


def create(cluster: Cluster, password: str) -> None:
    """Make the database folder with the role and database `ronda`. Raises: PostgresError."""
    draft = cluster.folder.with_name(f"{cluster.folder.name}.new")
    if draft.exists():  # an earlier start was interrupted
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if cluster.owner is not None:
        os.chown(draft, cluster.owner.uid, cluster.owner.gid)
    _initialise(draft, cluster)
    _single_user(
        draft,
        cluster,
        f"CREATE ROLE {NAME} LOGIN CREATEDB PASSWORD '{password}'",
        f"CREATE DATABASE {NAME} OWNER {NAME}",
    )
    (draft / "pg_hba.conf").write_text(_HOST_ACCESS)
    draft.rename(cluster.folder)


def change_password(cluster: Cluster, password: str) -> None:
    """Give the role a new password while the server is down. Raises: PostgresError."""
    _single_user(cluster.folder, cluster, f"ALTER ROLE {NAME} PASSWORD '{password}'")


def password_in(file: Path) -> str | None:
    """The kept password, or None."""
    return file.read_text().strip() or None if file.exists() else None


def new_password(file: Path) -> str:
    """192 random bits, kept in `file` for its owner alone."""
    password = secrets.token_urlsafe(24)
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(f"{password}\n")
    draft.replace(file)
    return password


def _initialise(folder: Path, cluster: Cluster) -> None:
    arguments = ["-D", data_argument(folder), "-U", _SUPERUSER, "--auth=reject", "--encoding=UTF8", "--locale=C"]
    problem = run(cluster.installation / "bin" / "initdb", [*arguments, "--no-instructions"], folder, cluster.owner)
    if problem:
        raise PostgresError(f"cannot make a database in {folder.parent}: {_gist(problem)}")


def _single_user(folder: Path, cluster: Cluster, *statements: str) -> None:
    """Statements in the server's own single-user mode, which needs no port and no password; one line each."""
    script = "".join(f"{statement}\n" for statement in statements)
    problem = run(cluster.program, ["--single", "-D", data_argument(folder), "postgres"], folder, cluster.owner, script)
    if problem:
        raise PostgresError(f"cannot prepare the database in {folder.parent}: {_gist(problem)}")


def _gist(complaint: str) -> str:
    """The line that says what is wrong, among the hints and the cleaning up."""
    lines = complaint.splitlines()
    return next((line for line in lines if "error:" in line or "FATAL:" in line), lines[-1])
