"""What an installation keeps, and what is made of it."""

from __future__ import annotations

from typing import Annotated

import typer

from ronda.commands.options import DataOrSettings, run

app = typer.Typer()


@app.command()
def train(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="SITE/DEVICE…", help="By default all that are due.")
    ] = None,
    data: DataOrSettings = None,
    first: Annotated[
        bool, typer.Option(hidden=True, help="Prepare the registry and wait for the first models.")
    ] = False,
) -> None:
    """Fit a model on each device's stored healthy past, register it in MLflow and promote it."""
    from ronda.train import run_training

    run(run_training(data, devices or [], first=first))
