"""What the sub-commands share: their common options, and the event loop that they run on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", help="The folder of the installation.")]
DATA = Path("data")
# For a part that may stand in a container of its own, with no folder at all.
DataOrSettings = Annotated[
    Path | None, typer.Option("--data", help="A running `ronda up`; by default `data`, or what the settings name.")
]


def run(work: Coroutine[object, object, None]) -> None:
    """Run to the end on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)
