"""The command `ronda`. Each sub-command imports what it needs when it runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from contract.errors import RondaError

app = typer.Typer(
    name="ronda",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""**Ronda walks past every machine, every second.**

Devices publish readings over MQTT; agents validate, judge and explain them; people get one mail with the reason.

Start with `ronda up`, open the address it prints, and press *Simulate Anomaly Ingestion* on the golden-path page.
Settings are environment variables or a `.env` file: see `.env.example`.
""",
)
device_app = typer.Typer(no_args_is_help=True, help="Add, list and revoke devices of a running installation.")
app.add_typer(device_app, name="device")

Data = Annotated[Path, typer.Option("--data", help="The folder of the installation.")]
DATA = Path("data")


@app.callback(invoke_without_command=True)
def top(
    *, show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False
) -> None:
    """What is the same for every sub-command."""
    if show_version:
        typer.echo(f"ronda {version('ronda')}")
        raise typer.Exit


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
    data: Annotated[
        Path | None, typer.Option(help="A running `ronda up`; without it the settings say where all is.")
    ] = None,
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
    data: Annotated[
        Path | None, typer.Option(help="A running `ronda up`; without it the settings say where all is.")
    ] = None,
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


@app.command()
def train(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="SITE/DEVICE…", help="By default all that are due.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A running `ronda up`; without it the settings say where all is.")
    ] = None,
    first: Annotated[
        bool, typer.Option(hidden=True, help="Prepare the registry and wait for the first models.")
    ] = False,
) -> None:
    """Fit a model on each device's stored healthy past, register it in MLflow and promote it."""
    from ronda.train import run_training

    run(run_training(data, devices or [], first=first))


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


@device_app.command("add")
def device_add(
    address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")],
    data: Data = DATA,
    json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
) -> None:
    """Make a device's user and password on the broker; its metrics are those of its first reading."""
    from ronda.ask import add_device

    run(add_device(data, address, as_json=json))


@device_app.command("list")
def device_list(data: Data = DATA) -> None:
    """Show the devices, the worst state first."""
    from ronda.ask import list_devices

    run(list_devices(data))


@device_app.command("revoke")
def device_revoke(address: Annotated[str, typer.Argument(metavar="SITE/DEVICE")], data: Data = DATA) -> None:
    """Cut a device off; what it sent stays."""
    from ronda.ask import revoke_device

    run(revoke_device(data, address))


def run(work: Coroutine[object, object, None]) -> None:
    """Run to the end on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def main() -> None:
    """The entry point: an error made for people is one line, and a missing extra names itself."""
    from ronda.processes import follow_supervisor

    follow_supervisor()
    try:
        app()
    except RondaError as error:
        typer.echo(f"ronda: {error}", err=True)
        sys.exit(1)
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


def _broker(text: str) -> Literal["embedded", "mosquitto"]:
    return "mosquitto" if text == "mosquitto" else "embedded"
