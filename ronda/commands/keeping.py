"""What an installation keeps, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ronda.commands.options import DATA, Data, DataOrSettings, run

app = typer.Typer()


@app.command()
def certs(
    data: Data = DATA,
    name: Annotated[
        list[str] | None, typer.Option(help="A further name or address of this machine.", metavar="HOST")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option("--for", help="Another host, such as a container: HOST.crt of its own.", metavar="HOST"),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder of the files, in place of the installation's.")] = None,
) -> None:
    """Make a private authority and the certificates for TLS; run again, it renews what has to be renewed."""
    from ronda.tls.certs import make_certificates

    run(make_certificates(data, name or [], host or [], to))


@app.command()
def train(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="SITE/DEVICE…", help="By default all that are due.")
    ] = None,
    data: DataOrSettings = None,
    first: Annotated[
        bool, typer.Option(hidden=True, help="Prepare the registry and wait for the first models.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay, and train whenever a device is due: where no `ronda up` does.")
    ] = False,
    from_: Annotated[str | None, typer.Option("--from", help="Learn from here on, such as 2026-11-22T10:00.")] = None,
    through: Annotated[str | None, typer.Option(help="Learn up to here.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Faulty, so left out; may be given several times.", metavar="FROM..THROUGH")
    ] = None,
    faults: Annotated[
        str | None, typer.Option(help="Learn a site's fault names from its confirmed alarms.", metavar="SITE")
    ] = None,
) -> None:
    """Fit a model on each device's stored healthy past, register it in MLflow, try it and promote it.

    Alarms that nobody judged or that were right are left out of what is learned, false ones are not: `ronda verdict`.
    At most the latest 604,800 healthy readings are taken, a week at one a second; fewer of more than four channels.
    """
    if faults is not None:
        from ronda.training.faults import run_fault_training

        run(run_fault_training(data, faults))
        return
    if keep:
        from ronda.training.trainer import run_trainer

        run(run_trainer())
        return

    from ronda.training.train import asked_past, run_training

    past = asked_past(from_, through, exclude or [], named=bool(devices))
    run(run_training(data, devices or [], first=first, past=past))


@app.command()
def secrets(
    to: Annotated[Path, typer.Option(help="The folder; what is in it already stays as it is.")] = Path("secrets"),
) -> None:
    """Make the secrets of a stack of containers, one file each, as docker-compose.yml hands them out."""
    from ronda.stack.secrets import make_secrets

    made = make_secrets(to)
    typer.echo(f"{to}: {len(made)} made" if made else f"{to}: complete")


@app.command()
def backup(
    data: DataOrSettings = None,
    to: Annotated[
        str, typer.Option(help="A folder, or s3://bucket/prefix; each backup is a folder of its own below it.")
    ] = "backups",
) -> None:
    """Copy the database, the models and the passwords of what runs, as of one moment."""
    from ronda.backups.making import run_backup

    run(run_backup(data, to, typer.echo))


@app.command()
def restore(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A backup: its folder, or its address in a bucket.")],
    data: DataOrSettings = None,
) -> None:
    """Put a backup into an empty folder, or into the empty database and bucket of the settings."""
    from ronda.backups.restoring import run_restore

    run(run_restore(source, data, typer.echo))


@app.command()
def erase(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: DataOrSettings = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking for the name again.")] = False,
) -> None:
    """Revoke a device and delete everything that is kept of it: there is no way back."""
    from ronda.erase import run_erasure

    if not yes and typer.prompt(f"This deletes all that is kept of {address}. Its name again") != address:
        raise typer.Abort
    run(run_erasure(data, address, typer.echo))


@app.command()
def export(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: DataOrSettings = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Measured from here on, such as 2026-11-22T10:00.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Measured up to here.")] = None,
    form: Annotated[Literal["csv", "parquet", "jsonl"], typer.Option("--format", help="Of the readings.")] = "csv",
    into: Annotated[Path, typer.Option(help="The folder that the device's own is made in.")] = Path(),
) -> None:
    """Write a device's readings, anomalies and verdicts into files."""
    from ronda.export import run_export

    run(run_export(data, address, from_, to, form, into, typer.echo))


@app.command()
def retention(
    data: DataOrSettings = None,
    apply: Annotated[bool, typer.Option("--apply", help="Take it away now, as would be done within hours.")] = False,
) -> None:
    """Show which months of readings, minutes and hours are older than they are to be kept."""
    from ronda.retention import run_retention

    run(run_retention(data, apply=apply))


@app.command()
def seed(data: DataOrSettings = None) -> None:
    """Add machines with a week of readings and anomalies behind them; run again, it changes nothing."""
    from ronda.seeds.seed import run_seed

    run(run_seed(data))
