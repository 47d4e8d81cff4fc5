"""The emulated machines by themselves, on a broker anywhere: what a container beside the machines runs."""

from __future__ import annotations

from pathlib import Path

from broker.address import MqttAddress
from edge.fleet import run_fleet
from ronda.logs import set_up_logs
from ronda.settings import SettingsError, load_settings


async def run_machines(fleet: Path) -> None:
    """Run the machines of the file until told to stop; beside it each keeps what it has sent.

    Raises: SettingsError without MQTT_URL; each machine has its own user, so that address needs none.
    """
    settings = load_settings("emulator")
    set_up_logs("emulator", settings.log_level, None)
    if not (url := settings.mqtt_url.get_secret_value()):
        raise SettingsError("with --fleet, MQTT_URL must be set")
    await run_fleet(fleet, MqttAddress.parse(url).trusting(settings.mqtt_ca_file), fleet.parent / "devices")
