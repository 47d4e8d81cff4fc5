"""What was refused: looked at, and let in again after the mending."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ronda.commands.options import DATA, Data, run

app = typer.Typer(no_args_is_help=True, help="What was refused and why: look at it, mend the reason, replay it.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="By default all that agree with the options.")]
Device = Annotated[str | None, typer.Option(help="Only of this device.", metavar="SITE/DEVICE")]
Stage = Annotated[str | None, typer.Option(help="Only refused by this agent, such as validation.")]
Reason = Annotated[str | None, typer.Option(help="Only for this reason, such as out_of_range.")]
From = Annotated[
    Path | None, typer.Option("--from", help="All that this archive took, by its file or its name.", metavar="FILE")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")]


@app.command("list")
def list_(
    data: Data = DATA,
    device: Device = None,
    stage: Stage = None,
    reason: Reason = None,
    state: Annotated[str, typer.Option(help="waiting, settled or all.")] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, the newest.")] = 50,
    json: Json = False,
) -> None:
    """Show what waits, newest first, why most of it was refused, and how full the quarantine is."""
    from ronda.ask_quarantine import chosen_by, list_entries

    run(list_entries(data, chosen_by([], device, stage, reason), state, limit, as_json=json))


@app.command()
def show(id_: Annotated[str, typer.Argument(metavar="ID")], data: Data = DATA, json: Json = False) -> None:
    """Show one with its bytes, made harmless, and what to do about it."""
    from ronda.ask_quarantine import show_entry

    run(show_entry(data, id_, as_json=json))


@app.command()
def replay(
    ids: Ids = None,
    data: Data = DATA,
    device: Device = None,
    stage: Stage = None,
    reason: Reason = None,
    archive: From = None,
    json: Json = False,
) -> None:
    """Send it through the ordinary door again: what is sound by now is stored and counted once, the rest stays.

    Mend the reason first: the ranges with `ronda device metrics`, a decoder with a newer gateway. Ends with 1 when
    something was refused again or is still on its way; the same may be asked again at any time.

    With --from an archive is brought back first: its entries are in the quarantine again, and the archive is gone.
    """
    from ronda.ask_quarantine import chosen_by, replay_archive, replay_entries

    if archive is not None:
        if any((ids, device, stage, reason)):
            raise typer.BadParameter("an archive is brought back whole: name nothing else beside --from")
        run(replay_archive(data, archive, as_json=json))
        return
    run(replay_entries(data, chosen_by(ids or [], device, stage, reason), as_json=json))


@app.command()
def archive(
    ids: Ids = None,
    data: Data = DATA,
    device: Device = None,
    stage: Stage = None,
    reason: Reason = None,
) -> None:
    """Move it into an archive (gzip'd JSON lines): out of the way, still counted, never dropped."""
    from ronda.ask_quarantine import archive_entries, chosen_by

    run(archive_entries(data, chosen_by(ids or [], device, stage, reason)))
