"""What a running installation has to tell."""

from __future__ import annotations

from typing import Annotated

import typer

from ronda.commands.options import DATA, Data, run

app = typer.Typer()


@app.command()
def trace(correlation_id: Annotated[str, typer.Argument(metavar="ID")], data: Data = DATA) -> None:
    """Tell the story of one correlation id, from the sensor to the mail."""
    from ronda.ask import print_trace

    run(print_trace(data, correlation_id))


@app.command()
def ledger(data: Data = DATA) -> None:
    """Show per device that sent = stored + rejected + pending, and what is lost."""
    from ronda.ask import print_ledger

    run(print_ledger(data))
