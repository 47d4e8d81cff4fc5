"""`ronda gateway`: a site's machines carried to the cloud through an outbox, from `pip install '.[edge]'` alone."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import secrets
from collections.abc import Iterator
from pathlib import Path

from broker.address import MqttAddress
from contract.access import gateway_rights
from edge.clock import SystemClock
from edge.fleet import stopped_by_signals
from edge.gateway.artifacts import Artifacts
from edge.gateway.bounds import Bounds
from edge.gateway.errors import GatewayError
from edge.gateway.gateway import Gateway
from edge.gateway.lines import to_cloud, to_devices
from edge.gateway.mapping import Mapping, read_mapping
from edge.gateway.outbox import Outbox
from edge.gateway.shelf import Shelf
from edge.gateway.status import last_will
from ronda.logs import set_up_logs
from ronda.settings import Settings, SettingsError, load_settings


async def run_gateway(mapping_file: Path, data: Path, outer: str | None) -> None:
    """Carry until told to stop.

    Raises: GatewayError for a mapping file or an outbox that cannot be used; SettingsError without both brokers;
    RefusedError when the local broker does not let us in.
    """
    settings = load_settings("gateway")
    set_up_logs("gateway", settings.log_level, None)
    mapping = read_mapping(mapping_file)
    local, cloud = _addresses(settings, outer, mapping)
    name = f"gateway-{mapping.site}-{mapping.name}"
    stop = asyncio.Event()
    with _alone(data / "gateway.lock"), stopped_by_signals(stop):
        now_ms = SystemClock().now_ms
        outbox = Outbox(data / "outbox.sqlite", Bounds(mapping.limits), lambda: secrets.token_hex(8), now_ms)
        gateway = Gateway(
            mapping,
            outbox,
            Shelf(data / "models", mapping.site, _artifacts(settings).fetch),
            # The same name after a restart: the local broker keeps for us what came in between.
            local=lambda: to_devices(local, name, last_will(mapping.site, mapping.name)),
            cloud=lambda: to_cloud(cloud, name, last_will(mapping.site, mapping.name)),
            now_ms=now_ms,
        )
        print(f"the site {mapping.site}: from {local} to {cloud}; Ctrl-C stops it", flush=True)
        await gateway.run(stop)


def _artifacts(settings: Settings) -> Artifacts:
    user, password = settings.mlflow_tracking_username, settings.mlflow_tracking_password.get_secret_value()
    return Artifacts(settings.mlflow_tracking_uri, (user, password) if user else None)


def _addresses(settings: Settings, outer: str | None, mapping: Mapping) -> tuple[MqttAddress, MqttAddress]:
    """(local broker, the cloud's broker)."""
    local = outer or settings.gateway_local_url.get_secret_value()
    cloud = settings.mqtt_url.get_secret_value()
    if not local or not cloud:
        raise SettingsError(
            "a gateway needs two brokers: GATEWAY_LOCAL_URL or --from for the machines', MQTT_URL for the cloud's, "
            f"such as mqtts://{gateway_rights(mapping.site).name.replace('/', '%2F')}:PASSWORD@HOST:8883"
        )
    there = MqttAddress.parse(cloud)
    return MqttAddress.parse(local), there.trusting(settings.mqtt_ca_file) if there.tls else there


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Raises: GatewayError when another gateway uses this folder: two would give the same numbers twice."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise GatewayError(
            f"cannot use the folder {path.parent}: {error.strerror}; name another with --data"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GatewayError(f"another gateway runs in {path.parent}; name another folder with --data") from error
        yield
