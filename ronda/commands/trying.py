"""What needs no installation: a look at one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("try")
def try_file(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.csv", help="A recording, one row a moment; may be gzipped. Without it, a pump."),
    ] = None,
    learn: Annotated[
        str | None, typer.Option(help="The healthy beginning: `400` rows or `30m`. By default a third, at most `30m`.")
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="The limit is so many times the largest healthy score; smaller finds more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; by default FILE.ronda.html in this folder.")] = None,
    language: Annotated[str, typer.Option(help="`en` or `pt`.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    look: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Learn from a recording's beginning, find what is unusual after it, and write a page with the evidence."""
    from ronda.trial.run import run_trial

    run_trial(
        file, learn=learn, sensitivity=sensitivity, out=out, language=language, json=json, look=look, tell=typer.echo
    )
