"""The limits that people and standards set for machines."""

from __future__ import annotations

from typing import Annotated

import typer

from ronda.commands.options import DATA, Data, run

app = typer.Typer()


@app.command()
def limits(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: Data = DATA,
    new: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METRIC:BOUNDS:SEVERITY", help="Such as vibration_de_mm_s:high=4.5:warning."),
    ] = None,
    iso: Annotated[
        str | None, typer.Option(help="The zones of ISO 20816 for a class of machines, such as group2-rigid.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="The velocity that --iso is about.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take away what is set, before setting others.")] = False,
) -> None:
    """Show a machine's fixed limits, or set them beside those there are."""
    from ronda.limits import change_limits

    run(change_limits(data, address, new or [], iso, metric or [], clear=clear))
