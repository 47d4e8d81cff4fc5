"""The sub-commands that ask a running installation, through its API like everybody else."""

from __future__ import annotations

import contextlib
import difflib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from contract.names import split_address
from detection.faults import Fault
from ronda.client import RondaClient
from ronda.installation import Installation, with_settings
from ronda.settings import load_settings
from ronda.tls.listening import own_trust, own_url


@contextlib.asynccontextmanager
async def as_admin(data: Path) -> AsyncIterator[RondaClient]:
    """A client of what runs in `data`, logged in as its first user."""
    installation = Installation(data)
    runtime = installation.runtime()
    secrets = with_settings(installation.secrets(), load_settings())
    async with RondaClient(own_url(runtime), tls=own_trust(runtime)) as client:
        await client.login("admin", secrets.admin_password)
        yield client


async def print_trace(data: Path, correlation_id: str) -> None:
    """One line a hop, with the time since the one before."""
    async with as_admin(data) as client:
        story = await client.trace(correlation_id)
    print(f"{story['correlation_id']}  {story['site']}/{story['device']}  {story['readings']} readings")
    for step in story["steps"]:
        detail = "  ".join(f"{name} {value}" for name, value in step["detail"].items())
        print(f"  {step['at']}  {step['after_ms']:>9,.1f} ms  {step['station']:<18} {step['did']:<10} {detail}")
    if not story["traced"]:
        print("  not traced: times are those of the stored rows and events")


async def print_ledger(data: Path, address: str | None, *, as_json: bool, fail_on_lost: bool) -> None:
    """One line a device. Exits with 1 where something is known to be lost, if that is asked for."""
    site, device = (None, None) if address is None else split_address(address)
    async with as_admin(data) as client:
        rows = (await client.ledger(site=site, device=device))["items"]
    print(msgspec.json.encode({"items": rows}).decode() if as_json else "\n".join(ledger_lines(rows)))
    if fail_on_lost and any(row["lost"] for row in rows):
        sys.exit(1)


def ledger_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A table; what a device that does not count lost before us is unknown, never 0."""
    columns = ("sent", "stored", "rejected", "pending", "lost")
    lines = [f"{'device':<24}" + "".join(f"{column:>12}" for column in columns)]
    for row in rows:
        name = f"{row['site']}/{row['device']}"
        lines.append(f"{name:<24}" + "".join(f"{_count(row[column]):>12}" for column in columns))
    if loose := sum(row["unnumbered"] for row in rows if row["counted"] == "device"):
        lines.append(f"and {loose:,} refused messages in which no reading could be told apart: ronda quarantine list")
    return lines


async def add_device(data: Path, address: str, *, as_json: bool) -> None:
    """Print the user name and the password, which nobody can read again."""
    site, device = split_address(address)
    async with as_admin(data) as client:
        added = await client.add_device(site, device)
    credentials = {"username": added["username"], "password": added["password"]}
    if as_json:
        print(msgspec.json.encode(credentials).decode())
    else:
        print(f"username  {credentials['username']}\npassword  {credentials['password']}\nIt is shown this once.")


async def list_devices(data: Path) -> None:
    """One line a device."""
    async with as_admin(data) as client:
        rows = (await client.devices())["items"]
    for row in rows:
        name = f"{row['site']}/{row['device']}"
        model = row["model"]["version"] if row["model"] else "none"
        print(
            f"{name:<24} {row['state']:<10} model {model:<4} last seen {row['last_seen'] or 'never'}  {row['origin']}"
        )


async def revoke_device(data: Path, address: str) -> None:
    """Take the device's user away."""
    site, device = split_address(address)
    async with as_admin(data) as client:
        await client.revoke_device(site, device)
    print(f"{address} may connect no more")


async def give_verdict(data: Path, anomaly_id: str, says: str, cause: str | None, comment: str | None) -> None:
    """Say, or take back, whether an alarm was right; print how its model stands since."""
    async with as_admin(data) as client:
        if says == "none":
            await client.take_back_verdict(anomaly_id)
            print(f"{anomaly_id}: not judged")
            return
        given = await client.give_verdict(anomaly_id, says, cause=cause, comment=comment)
    if cause is not None and (remark := remark_on(cause)):
        print(remark)
    precision = given["precision"]
    print(f"{anomaly_id}: {given['verdict']['verdict']}" + (f", {cause}" if cause else ""))
    print(
        f"version {given['verdict']['model_version']} of {given['site']}/{given['device']}: "
        f"{precision['true']} of {precision['true'] + precision['false']} judged alarms were right"
    )


def remark_on(cause: str) -> str:
    """What to say of a fault that Ronda has no rule for: plants have faults of their own, and fingers slip."""
    if cause in set(Fault):
        return ""
    meant = difflib.get_close_matches(cause, list(Fault), n=1)
    question = f"; if you meant {meant[0]}, give the verdict again" if meant else ""
    return f"{cause} is a name of your own, and is learned as such{question}"


def _count(value: Any) -> str:
    return "unknown" if value is None else f"{value:,}"
