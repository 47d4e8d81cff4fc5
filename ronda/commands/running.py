"""What runs: everything on one machine, or each part as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ronda.commands.options import DATA, Data, DataOrSettings, run

app = typer.Typer()


@app.command()
def up(
    data: Data = DATA,
    http_port: Annotated[int, typer.Option(help="Dashboard and API.", min=1, max=65535)] = 8000,
    mqtt_port: Annotated[int, typer.Option(help="The broker.", min=1, max=65535)] = 1883,
    broker: Annotated[str, typer.Option(help="`embedded`, or Debian's `mosquitto`.")] = "embedded",
    devices: Annotated[int, typer.Option(help="How many emulated pumps.", min=0, max=1000)] = 5,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this agent out; may be given several times.", metavar="AGENT")
    ] = None,
) -> None:
    """Start everything on this machine: database, broker, agents, API, dashboard, mail server, emulated pumps."""
    from ronda.settings import load_settings
    from ronda.up import Options, Up

    if broker not in ("embedded", "mosquitto"):
        raise typer.BadParameter(f"{broker!r} is neither embedded nor mosquitto", param_hint="--broker")
    options = Options(
        data=data,
        http_port=http_port,
        mqtt_port=mqtt_port,
        broker=_broker(broker),
        devices=devices,
        without=tuple(without or ()),
    )
    run(Up(options, load_settings(), lambda line: print(line, flush=True)).run())


@app.command()
def agent(
    name: Annotated[str, typer.Argument(help="acquisition, validation, anomaly-detection, notification or historian.")],
    data: DataOrSettings = None,
    partitions: Annotated[str | None, typer.Option(help="Only these of the 64, such as `0-15`.")] = None,
) -> None:
    """Run one agent of the chain as a process of its own."""
    from ronda.hub import run_agent

    run(run_agent(name, data, partitions))


@app.command()
def agents() -> None:
    """Draw the chain from the agents' own declarations."""
    from cloud.agents.registry import drawing

    typer.echo(drawing())


@app.command()
def broker(
    data: Data = DATA,
    mqtt_port: Annotated[int, typer.Option(help="Where it listens.", min=1, max=65535)] = 1883,
) -> None:
    """Run the embedded broker alone, on this machine: for agents in processes of their own."""
    from ronda.hub import run_broker

    run(run_broker(data, mqtt_port))


@app.command(hidden=True)
def hub(data: Data = DATA) -> None:
    """The broker and the agents in one process: what `ronda up` starts."""
    from ronda.hub import run_hub

    run(run_hub(data))


@app.command()
def api(
    data: DataOrSettings = None,
    http_port: Annotated[
        int | None, typer.Option(help="Where it listens; 8000 unless the folder says otherwise.")
    ] = None,
) -> None:
    """Run the HTTP bridge, the dashboard and, where no SMTP server is set, the local mail server."""
    from ronda.web import run_web

    run(run_web(data, http_port))


@app.command()
def emulate(
    data: Data = DATA,
    replay: Annotated[Path | None, typer.Option(help="A CSV recording to play as a device of its own.")] = None,
    device: Annotated[str | None, typer.Option(help="The recording's device; by default its file name.")] = None,
    learn_rows: Annotated[int, typer.Option(help="Rows the recording's model learns from.", min=120)] = 400,
    speed: Annotated[float, typer.Option(help="How many times faster than it was recorded.", min=0.1)] = 20.0,
) -> None:
    """Run the emulated machines of a running installation, or play a recording into it."""
    from ronda.emulate import run_emulation, run_replay

    if replay is None:
        run(run_emulation(data))
    else:
        run(run_replay(data, replay, device, learn_rows, speed))


def _broker(text: str) -> Literal["embedded", "mosquitto"]:
    return "mosquitto" if text == "mosquitto" else "embedded"
