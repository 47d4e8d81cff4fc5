"""What runs: everything on one machine, or each part as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ronda.commands.options import DATA, Data, DataOrSettings, run

app = typer.Typer()

Listen = Annotated[
    str | None, typer.Option(help="An IP address that others reach, 0.0.0.0 for all; needs TLS, see `ronda certs`.")
]
MqttsPort = Annotated[int, typer.Option(help="The broker with TLS, where there is a certificate.", min=1, max=65535)]
Insecure = Annotated[bool, typer.Option(help="Listen beyond this machine without TLS, as behind a proxy.")]


@app.command()
def up(
    data: Data = DATA,
    http_port: Annotated[int, typer.Option(help="Dashboard and API.", min=1, max=65535)] = 8000,
    mqtt_port: Annotated[int, typer.Option(help="The broker.", min=1, max=65535)] = 1883,
    broker: Annotated[str, typer.Option(help="`embedded`, or Debian's `mosquitto`.")] = "embedded",
    listen: Listen = None,
    mqtts_port: MqttsPort = 8883,
    insecure: Insecure = False,
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
        listen=listen,
        mqtts_port=mqtts_port,
        insecure=insecure,
    )
    run(Up(options, load_settings(), lambda line: print(line, flush=True)).run())


@app.command()
def agent(
    name: Annotated[
        str,
        typer.Argument(
            help="acquisition, validation, anomaly-detection, notification or historian; or all, in one process."
        ),
    ],
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
    listen: Listen = None,
    mqtts_port: MqttsPort = 8883,
    insecure: Insecure = False,
) -> None:
    """Run the embedded broker alone: for agents in processes of their own."""
    from ronda.hub import run_broker

    run(run_broker(data, listen, mqtt_port, mqtts_port, insecure=insecure))


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
    listen: Listen = None,
    insecure: Insecure = False,
) -> None:
    """Run the HTTP bridge, the dashboard and, where no SMTP server is set, the local mail server."""
    from ronda.web import run_web

    run(run_web(data, http_port, listen, insecure=insecure))


@app.command()
def mlflow(
    data: Data = DATA,
    host: Annotated[str, typer.Option(help="Where it listens; it asks nobody for a password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where it listens.", min=1, max=65535)] = 5000,
    insecure: Insecure = False,
) -> None:
    """Run MLflow's server on MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACT_ROOT, by default in the folder."""
    from ronda.mlflow.server import run_mlflow

    run_mlflow(data, host, port, lambda line: print(line, flush=True), insecure=insecure)


@app.command()
def mail(
    listen: Annotated[str, typer.Option(help="The address it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where it listens.", min=1, max=65535)] = 1025,
    insecure: Insecure = False,
) -> None:
    """Run a mail server for trying out, which keeps every mail in MAIL_FOLDER for the API to show."""
    from ronda.stack.mail import run_mail

    run(run_mail(listen, port, insecure=insecure))


@app.command()
def bridge(
    outer: Annotated[
        str, typer.Option("--from", help="The other broker, such as mqtt://broker.hivemq.com.", metavar="URL")
    ],
    prefix: Annotated[str, typer.Option(help="What stands before every topic over there; a secret on a public one.")],
    site: Annotated[str, typer.Option(help="The site whose devices are carried over.")] = "wokwi",
    data: Data = DATA,
) -> None:
    """Bring the readings of devices on another broker, such as a Wokwi simulation's, into a running installation."""
    from ronda.bridge import run_bridge

    run(run_bridge(data, outer, prefix, site))


@app.command()
def gateway(
    mapping: Annotated[Path, typer.Argument(metavar="FILE", help="Which topics are which device, such as site.toml.")],
    data: Annotated[Path, typer.Option("--data", help="The folder of the outbox.")] = Path("gateway"),
    outer: Annotated[
        str | None, typer.Option("--from", help="The machines' broker; by default GATEWAY_LOCAL_URL.", metavar="URL")
    ] = None,
) -> None:
    """Carry the readings of a site's machines to the broker at MQTT_URL, and keep them until they are stored there."""
    from ronda.gateway import run_gateway

    run(run_gateway(mapping, data, outer))


@app.command()
def emulate(
    data: Data = DATA,
    fleet: Annotated[
        Path | None, typer.Option(help="The machines in this file, on the broker at MQTT_URL, without any folder.")
    ] = None,
    replay: Annotated[Path | None, typer.Option(help="A CSV recording to play as a device of its own.")] = None,
    device: Annotated[str | None, typer.Option(help="The recording's device; by default its file name.")] = None,
    learn_rows: Annotated[int, typer.Option(help="Rows the recording's model learns from.", min=120)] = 400,
    speed: Annotated[float, typer.Option(help="How many times faster than it was recorded.", min=0.1)] = 20.0,
) -> None:
    """Run the emulated machines of a running installation, or play a recording into it."""
    if fleet is not None:
        from ronda.stack.machines import run_machines

        run(run_machines(fleet))
        return

    from ronda.emulate import run_emulation, run_replay

    if replay is None:
        run(run_emulation(data))
    else:
        run(run_replay(data, replay, device, learn_rows, speed))


def _broker(text: str) -> Literal["embedded", "mosquitto"]:
    return "mosquitto" if text == "mosquitto" else "embedded"
