"""`ronda bridge`: devices on another broker, such as those of a Wokwi simulation, in a running installation."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from broker.address import MqttAddress
from broker.credentials import Credentials
from broker.mqtt import MqttBus
from broker.two_lines import TwoLines
from contract.access import gateway_rights
from contract.names import check_site
from edge.bridge import Bridge, Route, check_prefix
from ronda.installation import Installation, InstallationError
from ronda.parts import Surroundings
from ronda.processes import kept_alive, until_told_to_stop

# Often enough to see that something comes, seldom enough to read.
_TELL_EVERY_S = 5.0


async def run_bridge(data: Path, outer: str, prefix: str, site: str) -> None:
    """Carry until told to stop, and say now and then how much came.

    Raises: BridgeError for an impossible prefix; InstallationError for a broker whose users are not ours to make, and
    for a site that another bridge carries.
    """
    route = Route(check_prefix(prefix), check_site(site))
    around = Surroundings("bridge", data)
    if around.installation is None or around.runtime.mqtt_url:
        raise InstallationError("the bridge logs in as a user of its own, which only the broker of `ronda up` can get")
    theirs = _theirs(around, outer)
    with _user_of(around.installation, site) as (gateway, password):
        work = partial(_carry, theirs, around.broker().with_user(gateway, password), route)
        print(f"from {theirs}, below the prefix, into the site {site}; Ctrl-C stops it", flush=True)
        carrying = asyncio.create_task(kept_alive("bridge", work))
        await until_told_to_stop()
        carrying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await carrying


@contextlib.contextmanager
def _user_of(installation: Installation, site: str) -> Iterator[tuple[str, str]]:
    """(user, password) of the site's gateway, for as long as this bridge runs.

    Raises: InstallationError when another one does: each would take the other's password away.
    """
    gateway, password = gateway_rights(site).name, Credentials.new_password()
    credentials = Credentials(installation.passwd)
    with (installation.broker / f"bridge-{site}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InstallationError(
                f"another `ronda bridge` carries the site {site}; stop it, or name another site with --site"
            ) from error
        credentials.set(gateway, password)
        try:
            yield gateway, password
        finally:
            credentials.remove(gateway)


def _theirs(around: Surroundings, outer: str) -> MqttAddress:
    address = MqttAddress.parse(outer)
    return address.trusting(around.settings.mqtt_ca_file) if address.tls else address


async def _carry(theirs: MqttAddress, ours: MqttAddress, route: Route) -> None:
    # What we hear on the one we say on the other: with one connection to each, two full inboxes would wait for ever.
    # The same names after a restart: their broker keeps for us what came in between, where it keeps sessions. No
    # longer than the 23 characters that every broker takes (MQTT 3.1.1, section 3.1.3.1).
    known = hashlib.sha256(f"{route.prefix}/{route.site}".encode()).hexdigest()[:16]
    outer = TwoLines(MqttBus(theirs, f"bridge-{known}"), MqttBus(theirs, f"speaks-{known}", persistent=False))
    inner = TwoLines(
        MqttBus(ours, f"bridge-{known}-in", persistent=False), MqttBus(ours, f"speaks-{known}-in", persistent=False)
    )
    async with outer, inner:
        await Bridge(outer, inner, route, _Told()).run()


class _Told:
    """Says how much has come, at most every few seconds."""

    def __init__(self) -> None:
        self._carried = self._refused = 0
        self._next = 0.0

    def __call__(self, carried: int, refused: int) -> None:
        self._carried += carried
        self._refused += refused
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _TELL_EVERY_S
            left_out = f", {self._refused} refused" if self._refused else ""
            print(f"{self._carried} messages carried over{left_out}", flush=True)
