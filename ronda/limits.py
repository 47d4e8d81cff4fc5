"""`ronda limits`: the fixed limits of a machine, shown and changed through the API like everybody does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from contract.errors import RondaError
from contract.names import split_address
from ronda.ask import as_admin

_EXAMPLE = "vibration_de_mm_s:high=4.5:warning"


class LimitsError(RondaError):
    """What was asked for cannot be read; the text says how it is written."""


async def change_limits(
    data: Path, address: str, new: Sequence[str], standard: str | None, metrics: Sequence[str], *, clear: bool
) -> None:
    """Set what is asked for beside what is set already, and print all. Raises: LimitsError."""
    site, device = split_address(address)
    if (standard is None) != (not metrics):
        raise LimitsError("--iso names the machine's class and --metric what it is about: give both, or none")
    asked = [parsed(each) for each in new]
    zones = [{"iso20816": {"metric": metric, "class": standard}} for metric in metrics]
    async with as_admin(data) as client:
        answer = await client.limits(site, device)
        if asked or zones or clear:
            kept = [] if clear else again(answer["items"])
            answer = await client.set_limits(site, device, merged(kept, [*asked, *zones]))
    for line in lines(answer["items"]):
        print(line)


def parsed(text: str) -> dict[str, Any]:
    """`vibration_de_mm_s:high=4.5:warning` → {metric, high, severity}. Raises: LimitsError."""
    rest, _, severity = text.rpartition(":")
    metric, _, bounds = rest.rpartition(":")
    try:
        given = {name: float(value) for name, value in (each.split("=") for each in bounds.split(","))}
    except ValueError:
        given = {}
    if not metric or severity not in {"warning", "critical"} or not given or not given.keys() <= {"low", "high"}:
        raise LimitsError(f"{text!r} is not METRIC:low=NUMBER,high=NUMBER:SEVERITY, such as {_EXAMPLE}")
    return {"metric": metric, **given, "severity": severity}


def again(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is set, as it would be asked for; the two limits of a standard are one request."""
    zones = {item["metric"]: item["class"] for item in items if item["class"] is not None}
    own = [
        {name: item[name] for name in ("metric", "low", "high", "severity")} | {"label": item["label"]["en"]}
        for item in items
        if item["class"] is None
    ]
    return own + [{"iso20816": {"metric": metric, "class": of}} for metric, of in zones.items()]


def merged(kept: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is new takes the place of the limit of the same metric and severity, or of the metric's standard."""
    return list({_key(each): each for each in (*kept, *new)}.values())


def lines(items: Sequence[dict[str, Any]]) -> list[str]:
    """One line a limit."""
    if not items:
        return ["no limits are set"]
    return [
        f"{item['metric']:<28} {_bounds(item):<26} {item['severity']:<9} {item['label']['en'] or item['source']}"
        for item in items
    ]


def _key(wanted: dict[str, Any]) -> tuple[str, str]:
    standard = wanted.get("iso20816")
    return (standard["metric"], "iso20816") if standard else (wanted["metric"], wanted["severity"])


def _bounds(item: dict[str, Any]) -> str:
    given = (("above", item["low"]), ("below", item["high"]))
    return " and ".join(f"{word} {bound:g} {item['unit']}".rstrip() for word, bound in given if bound is not None)
