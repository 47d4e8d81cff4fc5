"""`ronda erase`: a device is revoked, and all that is kept of it is deleted; run again, it goes on where it was.

Revoked first, so that nothing new comes; what is still on its way is deleted by a second look, after every part has had
time to write what it held. The register forgets it last: as long as something is left, the device can be named again.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from broker.credentials import Credentials
from broker.mqtt import MqttBus
from cloud.notifications.mailbox import Mailbox
from cloud.storage.database import Database
from cloud.storage.devices import DeviceStore
from cloud.storage.erasing import Erasing
from contract.errors import RondaError, TransientError
from contract.events import ModelRole
from contract.names import split_address
from contract.topics import Channel, DeviceTopic, ModelTopic
from ronda.fleet import read_fleet
from ronda.installation import folder_of
from ronda.parties import ERASED
from ronda.parts import Surroundings, clock_ms
from ronda.settings import load_settings
from ronda.store import opened_store
from ronda.training.train import alone

log = logging.getLogger("ronda.erase")

Say = Callable[[str], None]

# The detector keeps its states every ten seconds, and everything else is on its way for less.
SETTLE_S = 15.0
# A chain that has stood for long has more to hand over than one look finds.
_LOOKS = 4
# More than a mailbox of ours holds.
_MAILS = 100_000


class ErasureError(RondaError):
    """It cannot be erased; the text says why."""


class Left(NamedTuple):
    """What stays: `again`, because it was away, until the command is given again; `elsewhere` whatever we do."""

    again: list[str]
    elsewhere: list[str]


async def run_erasure(data: Path | None, address: str, say: Say, settle_s: float = SETTLE_S) -> None:
    """Erase `SITE/DEVICE`, and say what remains. Raises: TransientError when something was away: run it again."""
    site, device = split_address(address)
    settings = load_settings("erase")
    data = folder_of(settings, data)
    around = Surroundings("erase", data)
    # A trainer at work would register again what is taken away here.
    with alone(data):
        async with opened_store(around.runtime.database_url, around.settings) as database:
            left, gone = await _erase(around, database, site, device, say, settle_s)
    log.warning("device.erased", extra={"asset": address, "by": getpass.getuser(), "gone": gone, "away": left.again})
    for name, rows in gone.items():
        say(f"  {name:<20} {rows:>12,}")
    for each in left.elsewhere:
        say(f"remains: {each}")
    if left.again:
        raise TransientError(f"not yet erased: {'; '.join(left.again)}: give the same command again")
    say(f"{address} is erased")


async def _erase(
    around: Surroundings, database: Database, site: str, device: str, say: Say, settle_s: float
) -> tuple[Left, dict[str, int]]:
    """What stays, and how much of what is gone."""
    if await DeviceStore(database).get(site, device) is None:
        raise ErasureError(f"there is no device {site}/{device}")
    await _revoke(around, database, site, device, say)
    erasing, left = Erasing(database, site, device), Left([], _elsewhere(around, site, device))
    gone = {"mails": _mails(_mail_folder(around), await erasing.message_ids())}
    # Before the rows: what MLflow calls the champion is brought back into force where the store knows of none.
    gone["runs in MLflow"] = await _models(around, site, device, left)
    gone |= await _rows(erasing, site, device, settle_s)
    gone["archived"] = await erasing.archives(around.installation.quarantine if around.installation else None)
    gone["copies of models"] = _copies(around, site, device)
    await _retained(around, site, device, left)
    await erasing.forget()
    return left, {name: rows for name, rows in gone.items() if rows}


async def _revoke(around: Surroundings, database: Database, site: str, device: str, say: Say) -> None:
    path = around.installation.passwd if around.installation else around.settings.mqtt_password_file
    if path is not None and path.exists():
        Credentials(path).remove(f"{site}/{device}")
    else:
        say(f"note: the broker's users are not kept here: take {site}/{device} away there")
    await DeviceStore(database).revoke(site, device, now_ms=int(clock_ms()))


async def _rows(erasing: Erasing, site: str, device: str, settle_s: float) -> dict[str, int]:
    """Look until nothing is found."""
    gone: dict[str, int] = {}
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(settle_s)
        found = await erasing.erase([f"{DeviceTopic(site, device, Channel.TELEMETRY)}".removesuffix(Channel.TELEMETRY)])
        for name, rows in found.items():
            gone[name] = gone.get(name, 0) + rows
        if look and not found:
            return gone
    raise TransientError(
        f"readings of {site}/{device} still come, though it is revoked: a gateway or an HTTP client may speak for it; "
        "stop that and give the same command again"
    )


def _mail_folder(around: Surroundings) -> Path | None:
    if not around.runtime.own_mail:
        return None
    return around.installation.mail if around.installation else around.settings.mail_folder


def _mails(folder: Path | None, message_ids: Iterable[str]) -> int:
    """Delete these mails from our own mailbox. Returns how many there were."""
    if folder is None or not folder.exists():
        return 0
    wanted = set(message_ids)
    found = [mail.id for mail in Mailbox(folder).list(_MAILS) if mail.message_id in wanted]
    for mail_id in found:
        (folder / f"{mail_id}.eml").unlink(missing_ok=True)
    return len(found)


def _copies(around: Surroundings, site: str, device: str) -> int:
    """The detection agent's own copies of its models."""
    if around.installation is None:
        return 0
    found = list((around.installation.mlflow / "in-force").glob(f"{site}.{device}.*"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


async def _models(around: Surroundings, site: str, device: str, left: Left) -> int:
    """In a thread, since MLflow blocks."""
    from cloud.models.erasing import erase_models

    try:
        return await asyncio.to_thread(
            erase_models, around.runtime.tracking_uri, around.runtime.artifact_root, site, device
        )
    except RondaError as error:
        left.again.append(f"its models in MLflow ({error})")
        return 0


async def _retained(around: Surroundings, site: str, device: str, left: Left) -> None:
    """An empty message takes the place of each one that the broker may keep."""
    topics = [str(DeviceTopic(site, device, channel)) for channel in ERASED]
    topics += [str(ModelTopic(site, device, role)) for role in ModelRole]
    try:
        client_id = f"ronda-erase-{secrets.token_hex(8)}"
        async with MqttBus(around.mqtt("operator"), client_id, persistent=False) as bus:
            await bus.publish([(topic, b"") for topic in topics], retain=True)
    except RondaError as error:
        left.again.append(f"what the broker retains of it ({error})")


def _elsewhere(around: Surroundings, site: str, device: str) -> list[str]:
    found = [
        "its name in the register, revoked, and in the logs",
        "backups that were made before: delete those that hold it",
        "names and numbers of its runs in MLflow, until `mlflow gc`; confirmed alarms in a site's fault classifier",
    ]
    if not around.runtime.own_mail:
        found.append("mails and webhooks that were sent")
    if around.installation is not None and (site, device) in {
        (machine.site, machine.device) for machine in read_fleet(around.installation)
    }:
        found.append("the emulated machine itself, which keeps what it measures: it is in emulator/fleet.json")
    return found
