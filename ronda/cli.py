"""The command `ronda`: its sub-commands, and how it ends when something is wrong."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from contract.errors import RondaError, TransientError
from ronda.commands import devices, keeping, limits, looking, models, preparing, quarantine, running, trying

# What failed only because something else is away: EX_TEMPFAIL of sysexits.h, which schedulers know.
TRY_LATER = os.EX_TEMPFAIL

app = typer.Typer(
    name="ronda",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""**Ronda walks past every machine, every second.**

Devices publish readings over MQTT; agents validate, judge and explain them; people get one mail with the reason.

Have a recording? `ronda try FILE.csv` learns, finds and explains, without a server.
Start with `ronda up`, open the address it prints, and press *Simulate Anomaly Ingestion* on the golden-path page.
Settings are environment variables or a `.env` file: see `.env.example`.
""",
)
for part in (running, looking, keeping, limits, models, trying):
    app.add_typer(part.app)
app.add_typer(devices.app, name="device")
app.add_typer(models.model, name="model")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(preparing.app, name="prepare")


@app.callback(invoke_without_command=True)
def top(
    *, show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False
) -> None:
    """What is the same for every sub-command."""
    if show_version:
        typer.echo(f"ronda {version('ronda')}")
        raise typer.Exit


def main() -> None:
    """The entry point: an error made for people is one line, and a missing extra names itself."""
    from ronda.processes import follow_supervisor

    follow_supervisor()
    try:
        app()
    except RondaError as error:
        typer.echo(f"ronda: {error}", err=True)
        sys.exit(TRY_LATER if isinstance(error, TransientError) else 1)
    except ImportError as error:
        # A package of ours names its extra itself.
        typer.echo(f"ronda: {_missing(error) if error.name else error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _missing(error: ImportError) -> str:
    extra = _extra_for((error.name or "").partition(".")[0])
    return f"this needs {error.name}; install it with: pip install 'ronda[{extra}]'"


def _extra_for(module: str) -> str:
    if module in {"aiomqtt", "paho"}:
        return "edge"
    return "dashboard" if module.startswith("dash") else "cloud"
