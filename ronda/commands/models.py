"""The life of models: what there is, what is tried, what is in force, and what people say of alarms."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ronda.commands.options import DATA, Data, DataOrSettings, run

app = typer.Typer()
model = typer.Typer(no_args_is_help=True, help="Show a machine's models, bring one into force, or go back.")

Address = Annotated[str, typer.Argument(metavar="SITE/DEVICE")]


@app.command()
def backtest(
    address: Address,
    data: DataOrSettings = None,
    version: Annotated[str | None, typer.Option(help="By default the newest one.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="Such as 2026-11-22T10:00; by default a day and confirmed alarms.")
    ] = None,
    through: Annotated[str | None, typer.Option(help="By default the last reading.")] = None,
) -> None:
    """Print which past alarms would appear or vanish with a version in place of the one in force."""
    from ronda.training.moves import run_backtest

    run(run_backtest(data, address, version, from_, through))


@app.command()
def verdict(
    alert: Annotated[str, typer.Argument(metavar="ALERT")],
    says: Annotated[
        Literal["true", "false", "planned", "none"],
        typer.Argument(metavar="VERDICT", help="true, false, planned, or none to take one back."),
    ],
    cause: Annotated[
        str | None, typer.Option(help="The fault that was found, such as bearing_wear, or a name_of_your_own.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="In your own words.")] = None,
    data: Data = DATA,
) -> None:
    """Say whether an alarm was right; the next training heeds it."""
    from ronda.ask import give_verdict

    run(give_verdict(data, alert, says, cause, comment))


@model.command("list")
def model_list(
    address: Annotated[str | None, typer.Argument(metavar="SITE/DEVICE", help="All of one machine's.")] = None,
    data: DataOrSettings = None,
) -> None:
    """Show the models in force and those that wait, or all of one machine."""
    from ronda.training.moves import run_list

    run(run_list(data, address))


@model.command("show")
def model_show(
    asked: Annotated[str, typer.Argument(metavar="SITE/DEVICE|ALERT")],
    data: DataOrSettings = None,
    version: Annotated[str | None, typer.Option(help="By default the one in force.")] = None,
) -> None:
    """Show where a model comes from: alert, version, run, data."""
    from ronda.training.lineage import run_show

    run(run_show(data, asked, version))


@model.command("promote")
def model_promote(
    address: Address,
    version: Annotated[str, typer.Argument()],
    data: DataOrSettings = None,
    force: Annotated[bool, typer.Option("--force", help="Without a trial, or against it.")] = False,
) -> None:
    """Try a version on the stored history and bring it into force."""
    from ronda.training.moves import run_promote

    run(run_promote(data, address, version, force=force))


@model.command("rollback")
def model_rollback(
    address: Address,
    data: DataOrSettings = None,
    to: Annotated[str | None, typer.Option(help="A version; by default the one before.")] = None,
) -> None:
    """Go back to an earlier model at once; the registry may be away."""
    from ronda.training.rollback import run_rollback

    run(run_rollback(data, address, to))


@model.command("drift")
def model_drift(address: Address, data: DataOrSettings = None) -> None:
    """Show how far the readings are from those that the model learned, channel by channel."""
    from ronda.training.moves import run_drift

    run(run_drift(data, address))
