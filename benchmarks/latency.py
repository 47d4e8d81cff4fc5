"""How much later a reading arrives behind the chain than at a bare subscriber, at a given rate."""

from __future__ import annotations

import asyncio
import re
import statistics
from typing import NamedTuple

from benchmarks.observer import Arrival, Observer, observer
from benchmarks.places import Place
from benchmarks.subjects import TELEMETRY
from benchmarks.traffic import DEVICES, Source, Traffic
from contract.codec import decode_events, topic_filter
from contract.events import ValidatedDataEvent

_LOOK_S = 0.05
# Long enough for a garbage collection; what takes longer did not keep up with the rate.
_LAST_WITHIN_S = 30.0
_LABEL = re.compile(r"d(?P<label>.+)-(?P<number>\d+)")


class Latency(NamedTuple):
    """Milliseconds from the publishing process to the last one."""

    p50: float
    p99: float


async def bare_latency(place: Place, client: str, traffic: Traffic) -> Latency:
    """At a subscriber of what the devices send."""
    where = place.address("acquisition")
    async with observer(where, f"bench-{traffic.label}", client, TELEMETRY, keep=True) as bare:
        sent, arrivals = await _sent_and_seen(place, traffic, bare)
    # One publisher, one connection: they arrive in the order in which they went out.
    return _latency([arrival.at - at for at, arrival in zip(sent, arrivals, strict=True)])


async def chain_latency(place: Place, client: str, traffic: Traffic) -> Latency:
    """At a subscriber of what Validation publishes, which is what the Historian and the detector get."""
    where, validated = place.address("historian"), topic_filter(ValidatedDataEvent)
    async with observer(where, f"bench-far-{traffic.label}", client, validated, keep=True) as far:
        sent, arrivals = await _sent_and_seen(place, traffic, far, through_chain=True)
    found: dict[int, float] = {}
    for arrival in arrivals:
        for event in decode_events(ValidatedDataEvent, arrival.payload):
            if (device := _LABEL.fullmatch(event.device)) and device["label"] == traffic.label:
                indices = {seq // traffic.batch * DEVICES + int(device["number"]) for seq in event.seq}
                for index in indices:
                    found.setdefault(index, arrival.at - sent[index])
    if len(found) != len(sent):
        raise SystemExit(f"{len(sent)} messages were sent and {len(found)} came through the chain in time")
    return _latency(list(found.values()))


async def _sent_and_seen(
    place: Place, traffic: Traffic, seen: Observer, *, through_chain: bool = False
) -> tuple[list[float], list[Arrival]]:
    async with Source(place.address("web"), traffic) as source:
        source.go()
        sent = await source.sent()
    await (_until_quiet(seen) if through_chain else _until(seen, traffic.messages))
    return sent, await seen.arrivals()


async def _until(seen: Observer, count: int) -> None:
    async with asyncio.timeout(_LAST_WITHIN_S):
        while seen.seen() < count:  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(_LOOK_S)


async def _until_quiet(seen: Observer) -> None:
    """The chain makes fewer messages than it gets, so the count says nothing: until none came for a second."""
    last = -1
    async with asyncio.timeout(_LAST_WITHIN_S):
        while seen.seen() != last:
            last = seen.seen()
            await asyncio.sleep(1)


def _latency(seconds: list[float]) -> Latency:
    cuts = statistics.quantiles(seconds, n=100)
    return Latency(cuts[49] * 1000, cuts[98] * 1000)
