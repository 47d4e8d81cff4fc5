"""What a stack of containers runs once, before its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ronda.commands.options import run

app = typer.Typer(no_args_is_help=True, help="Prepare what the parts of a stack of containers share; run once each.")

_SHARED = Path("/var/lib/ronda")
Shared = Annotated[Path, typer.Option("--data", help="Where the shared volumes are: broker, emulator and others.")]


@app.command("broker")
def prepare_broker(
    users: Annotated[Path, typer.Option(help="The services' passwords, which `ronda secrets` made.")],
    cert: Annotated[Path, typer.Option(help="The broker's certificate, where Mosquitto sees it.")],
    key: Annotated[Path, typer.Option(help="And its key.")],
    data: Shared = _SHARED,
) -> None:
    """Write Mosquitto's configuration, access list and users."""
    from broker.listeners import TlsFiles
    from ronda.stack import prepare

    prepare.prepare_broker(data, users, TlsFiles(cert, key))


@app.command("store")
def prepare_store(
    bucket: Annotated[list[str] | None, typer.Option(help="Another bucket, such as one for backups.")] = None,
) -> None:
    """Bring the tables of DATABASE_URL up to date, and make the bucket of MLFLOW_ARTIFACT_ROOT."""
    from ronda.stack import prepare

    run(prepare.prepare_store(bucket or []))


@app.command("fleet")
def prepare_fleet(
    data: Shared = _SHARED,
    devices: Annotated[int, typer.Option(help="How many emulated pumps.", min=0, max=1000)] = 5,
) -> None:
    """Let emulated machines in on the broker, and register them."""
    from ronda.stack import prepare

    run(prepare.prepare_fleet(data, devices))
