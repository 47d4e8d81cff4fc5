"""What a running installation has to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ronda.commands.options import DATA, Data, DataOrSettings, run

app = typer.Typer()


@app.command()
def trace(correlation_id: Annotated[str, typer.Argument(metavar="ID")], data: Data = DATA) -> None:
    """Tell the story of one correlation id, from the sensor to the mail."""
    from ronda.ask import print_trace

    run(print_trace(data, correlation_id))


@app.command()
def ledger(
    data: Data = DATA,
    device: Annotated[str | None, typer.Option(help="Of this device only.", metavar="SITE/DEVICE")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    fail_on_lost: Annotated[bool, typer.Option("--fail-on-lost", help="End with 1 when a reading is lost.")] = False,
) -> None:
    """Show per device that sent = stored + rejected + pending, and what is lost.

    Counted at the device, over all its boots. For one that does not count, what it sent and lost is unknown.
    """
    from ronda.ask import print_ledger

    run(print_ledger(data, device, as_json=json, fail_on_lost=fail_on_lost))


@app.command()
def doctor(
    data: DataOrSettings = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
) -> None:
    """Find out what is wrong with an installation: what, with whom, since when, and what to do; ends with 1 then."""
    from ronda.doctor.run import run_doctor

    run(run_doctor(data, as_json=json))


@app.command()
def check(
    gate: Annotated[
        list[str] | None, typer.Option(help="Only this gate, P1 to P4; may be given several times.")
    ] = None,
    data: DataOrSettings = None,
    repository: Annotated[Path, typer.Option(help="The checkout whose documents and evidence are looked at.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
) -> None:
    """Try whether an environment keeps what Ronda promises: state, golden path, security and speed, evidence."""
    from ronda.checks.run import run_check

    run(run_check(data, gate or [], repository, as_json=json))


@app.command()
def health(
    of: Annotated[str, typer.Argument(help="`connected:PORT`, `listening:PORT`, or a URL to ask.")],
) -> None:
    """Tell by the exit code whether the part in this container is at work."""
    from ronda.stack.health import check_health

    check_health(of)
