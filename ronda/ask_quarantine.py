"""`ronda quarantine` and `ronda device metrics`: asked through the API; what strangers sent is printed harmless."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cloud.api.shown_bytes import escaped
from contract.errors import RondaError
from contract.names import split_address
from ronda.ask import as_admin
from ronda.client import RondaClient

_EXAMPLE = "temperature_c:low=-40,high=200,unit=°C"
Chosen = Mapping[str, Any]
# What a request takes by name.
_IDS = 200


class ChoiceError(RondaError):
    """What was asked for cannot be read; the text says how it is written."""


async def list_entries(data: Path, chosen: Chosen, state: str, limit: int, *, as_json: bool) -> None:
    """Print what waits, newest first, why most of it was refused, and how full the quarantine is."""
    async with as_admin(data) as client:
        page = await client.quarantine(**chosen, state=state, limit=limit)
    if as_json:
        print(msgspec.json.encode(page).decode())
        return
    for line in _listed(page):
        print(line)


async def show_entry(data: Path, rejection_id: str, *, as_json: bool) -> None:
    """Print one with its bytes."""
    async with as_admin(data) as client:
        entry = await client.refusal(rejection_id)
    if as_json:
        print(msgspec.json.encode(entry).decode())
        return
    for line in _shown(entry):
        print(line)


async def replay_entries(data: Path, chosen: Chosen, *, as_json: bool) -> None:
    """Replay all that is chosen, and print what became of each. Exits with 1 unless everything is settled."""
    async with as_admin(data) as client:
        items = await _replayed(client, chosen)
    _told(items, as_json=as_json)


async def replay_archive(data: Path, archive: Path, *, as_json: bool) -> None:
    """Bring back what an archive took, by its file or its name, and replay all of it, as `replay_entries` does."""
    items: list[dict[str, Any]] = []
    async with as_admin(data) as client:
        ids = (await client.unarchive(archive.name))["ids"]
        for first in range(0, len(ids), _IDS):
            items += await _replayed(client, {"ids": ids[first : first + _IDS]})
    _told(items, as_json=as_json)


async def _replayed(client: RondaClient, chosen: Chosen) -> list[dict[str, Any]]:
    """What became of each, oldest first."""
    page = await client.replay(**chosen)
    items: list[dict[str, Any]] = page["items"]
    while page["next"] is not None:
        page = await client.replay(**chosen, cursor=page["next"])
        items += page["items"]
    return items


def _told(items: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"items": items}).decode())
    else:
        for line in _outcomes(items):
            print(line)
    if any(item["fate"] != "stored" for item in items):
        sys.exit(1)


async def archive_entries(data: Path, chosen: Chosen) -> None:
    """Move all that is chosen into archives."""
    moved, names = 0, []
    async with as_admin(data) as client:
        while (done := await client.archive(**chosen))["archived"]:
            moved += done["archived"]
            names += done["archives"]
    print(f"{moved} archived")
    for name in names:
        print(f"  {name}")


async def change_ranges(data: Path, address: str, changes: Sequence[str]) -> None:
    """Change what is asked for, and print what the device measures. Raises: ChoiceError."""
    site, device = split_address(address)
    wanted = [parsed_change(each) for each in changes]
    async with as_admin(data) as client:
        answer = await (client.change_metrics(site, device, wanted) if wanted else client.metrics(site, device))
    for metric in answer["items"]:
        low, high = metric.get("low"), metric.get("high")
        between = f"{'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
        print(f"{escaped(metric['name']):<28} {between} {escaped(metric.get('unit', ''))}".rstrip())


def parsed_change(text: str) -> dict[str, Any]:
    """`temperature_c:low=-40,high=any` → {name, low, high}; `any` takes a bound away. Raises: ChoiceError."""
    name, _, rest = text.partition(":")
    given: dict[str, str] = {}
    try:
        for each in rest.split(",") if rest else ():
            key, value = each.split("=", 1)
            given[key] = value
        bounds = {key: _bound(value) for key, value in given.items() if key != "unit"}
    except ValueError:
        raise _unreadable(text) from None
    if not name or not given.keys() <= {"low", "high", "unit"}:
        raise _unreadable(text)
    unit = {key: value for key, value in given.items() if key == "unit"}
    return {"name": name, **bounds, **unit}


def _bound(text: str) -> float | None:
    return None if text == "any" else float(text)


def _unreadable(text: str) -> ChoiceError:
    return ChoiceError(f"{text!r} is not METRIC:low=NUMBER,high=NUMBER,unit=TEXT, such as {_EXAMPLE}")


def chosen_by(ids: Sequence[str], device: str | None, stage: str | None, reason: str | None) -> dict[str, Any]:
    """What the API is asked for. Raises: ContractError for a device that is none."""
    site, name = (None, None) if device is None else split_address(device)
    given = {"ids": list(ids) or None, "site": site, "device": name, "stage": stage, "reason": reason}
    return {key: value for key, value in given.items() if value is not None}


def _listed(page: Mapping[str, Any]) -> Iterator[str]:
    for item in page["items"]:
        mark = "settled" if item["settled"] else "replayed" if item["replayed_at"] else "waits"
        name = f"{item['site']}/{item['device']}"
        yield (
            f"{item['id']}  {item['received_at']}  {name:<22} {item['stage']:<12} {item['reason']:<18} {mark:<8} "
            f"{item['detail']}"
        )
    if page["causes"]:
        yield "why most of what waits was refused:"
        yield from (
            f"  {cause['entries']:>9,}  {cause['site']}/{cause['device']}  {cause['stage']}  {cause['reason']}"
            for cause in page["causes"]
        )
    totals = page["totals"]
    yield (
        f"{totals['waiting']:,} wait, {totals['entries'] - totals['waiting']:,} are settled, "
        f"{totals['bytes'] / 1e6:,.1f} MB; {totals['archived']:,} archived in {totals['archives']:,} archives"
    )


def _shown(entry: Mapping[str, Any]) -> Iterator[str]:
    plain = ("id", "site", "device", "boot", "seq", "stage", "reason", "detail", "topic", "received_at", "replayed_at")
    yield from (f"{name:<12} {entry[name]}" for name in plain if entry[name] is not None)
    yield f"{'settled':<12} {'yes' if entry['settled'] else 'no'}"
    yield f"{'what to do':<12} {entry['advice']}"
    payload = entry["payload"]
    part = f", the first {payload['shown']:,} of them" if payload["shown"] < payload["size"] else ""
    yield f"{payload['size']:,} bytes{part}:"
    yield payload["text"] if payload["text"] is not None else payload["hex"]


def _outcomes(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    count = dict.fromkeys(("stored", "refused", "pending", "impossible"), 0)
    for item in items:
        count[item["fate"]] += 1
        why = " ".join(str(each) for each in (item["reason"], item["detail"]) if each)
        yield f"{item['id']}  {item['fate']:<10} {why}".rstrip()
    yield ", ".join(f"{number:,} {fate}" for fate, number in count.items())
