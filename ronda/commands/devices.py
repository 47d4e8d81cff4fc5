"""The devices of a running installation."""

from __future__ import annotations

from typing import Annotated

import typer

from ronda.commands.options import DATA, Data, run

app = typer.Typer(no_args_is_help=True, help="Add, list and revoke devices of a running installation.")


@app.command("add")
def device_add(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: Data = DATA,
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
) -> None:
    """Make a device's user and password on the broker; its metrics are those of its first reading."""
    from ronda.ask import add_device

    run(add_device(data, address, as_json=json))


@app.command("list")
def device_list(data: Data = DATA) -> None:
    """Show the devices, the worst state first."""
    from ronda.ask import list_devices

    run(list_devices(data))


@app.command("configure")
def device_configure(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    settings: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…")],
    data: Data = DATA,
) -> None:
    """Tell a device of the ESP32 firmware how to measure, and print what it answers; it keeps that over a power cut."""
    from ronda.configure import configure_device

    run(configure_device(data, address, settings))


@app.command("metrics")
def device_metrics(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: Data = DATA,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="METRIC:CHANGES", help="Such as temperature_c:low=-40,high=200; any: no bound."),
    ] = None,
) -> None:
    """Show what a device measures, or change the ranges outside which its readings are refused."""
    from ronda.ask_quarantine import change_ranges

    run(change_ranges(data, address, changes or []))


@app.command("gateway")
def device_gateway(
    site: Annotated[str, typer.Argument(metavar="SITE")],
    data: Data = DATA,
    remove: Annotated[bool, typer.Option("--remove", help="Cut it off instead.")] = False,
) -> None:
    """Make the user and password of a site's gateway, which speaks for its devices; see `ronda gateway`."""
    from ronda.gateway_user import make_gateway_user, remove_gateway_user

    (remove_gateway_user if remove else make_gateway_user)(data, site)


@app.command("revoke")
def device_revoke(address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")], data: Data = DATA) -> None:
    """Cut a device off; what it sent stays."""
    from ronda.ask import revoke_device

    run(revoke_device(data, address))
