"""The HTTP door: the rules of the chain, told at once; then on to the device's own topic, as it would itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec

from broker.bus import Bus
from cloud.api.callers import Caller
from cloud.api.listener import PUBLISH_WITHIN_S
from cloud.api.messages import (
    Limits,
    Posted,
    Refusal,
    correlation_ids,
    impossible,
    limits_for,
    open_message,
    outgoing,
    readings_in,
    split,
    unusable,
)
from cloud.api.ports import Address
from cloud.api.problems import Problem, refusal, unavailable
from cloud.api.registration import Registration
from contract.codec import encode_events
from contract.errors import ContractError, TransientError
from contract.events import HopEvent
from contract.plausibility import Metric
from contract.telemetry import Reading, Telemetry

log = logging.getLogger("ronda.api.ingestion")

# A queue that is behind needs minutes rather than seconds; asked four times a minute, nobody waits for long after it.
BEHIND_RETRY_AFTER_S = 15
# Enough to see what is wrong with a whole batch.
MAX_ERRORS = 100


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A request of which every reading is sound."""

    messages: list[tuple[str, bytes]]
    telemetry: list[Telemetry]
    correlation_ids: list[str]

    @property
    def readings(self) -> list[Reading]:
        """All of them, in the order sent."""
        return [reading for each in self.telemetry for reading in each.readings]


class Ingestion:
    """Checks a request whole, then hands it to the broker: all of it, or none.

    `behind`: the queues that are too full to take more from who can wait.
    """

    def __init__(
        self,
        bus: Bus,
        registration: Registration,
        clock_ms: Callable[[], float],
        *,
        behind: Callable[[], list[str]],
        within_s: float = PUBLISH_WITHIN_S,
    ) -> None:
        self._bus = bus
        self._registration = registration
        self._clock_ms = clock_ms
        self._behind = behind
        self._within_s = within_s

    async def check(self, body: bytes, caller: Caller) -> Checked:
        """The request, checked. Raises: Problem 503 while too many wait, 4xx with one error per wrong reading."""
        if behind := self._behind():
            detail = f"nothing was taken, since the chain is behind ({', '.join(behind)}); send the same again later"
            raise unavailable("behind", detail, BEHIND_RETRY_AFTER_S, behind=behind)
        try:
            posted = split(body)
        except ContractError as error:
            raise refusal(error) from error
        metrics = await self._registration.admit(caller, (each.address for each in posted))
        return _checked(posted, metrics, int(self._clock_ms()))

    async def publish(self, checked: Checked) -> None:
        """Hand it to the broker. Raises: Problem 503 when it does not take it in time."""
        begun_ms = self._clock_ms()
        try:
            async with asyncio.timeout(self._within_s):
                await self._bus.publish(checked.messages)
                if hops := _hops(checked.telemetry, begun_ms, self._clock_ms()):
                    await self._bus.publish(encode_events(hops))
        except (TransientError, TimeoutError) as error:
            detail = "the broker did not take the readings; send the same again, repeats are absorbed"
            raise unavailable("broker_away", detail) from error
        for correlation_id in checked.correlation_ids if hops else ():
            fields = {"agent": "api", "correlation_id": correlation_id, "readings": len(checked.readings)}
            log.info("readings.accepted", extra=fields)


def _checked(posted: Sequence[Posted], metrics: dict[Address, Sequence[Metric] | None], now_ms: int) -> Checked:
    errors: list[Refusal] = []
    telemetry: list[Telemetry] = []
    messages: list[tuple[str, bytes]] = []
    limits: dict[Address, Limits] = {}
    index = 0
    for each in posted:
        if len(errors) >= MAX_ERRORS:
            break
        try:
            opened = open_message(each)
            messages.append(outgoing(opened))
        except ContractError as error:
            errors += unusable(each, error, index)
            index += readings_in(each.payload)
            continue
        if each.address not in limits:
            limits[each.address] = limits_for(opened, metrics[each.address])
        errors += impossible(each, opened, limits[each.address], now_ms, index)
        index += len(opened.readings)
        telemetry.append(opened)
    if errors:
        raise _refused(errors, index)
    ids = dict.fromkeys(own for each in telemetry for own in correlation_ids(each))
    return Checked(messages=messages, telemetry=telemetry, correlation_ids=list(ids))


def _refused(errors: Sequence[Refusal], readings: int) -> Problem:
    first = errors[0]
    detail = first.detail
    if readings > 1:
        detail = f"{len(errors)} of {readings} readings refused, and none taken; the first, {first.pointer}: {detail}"
    problem = refusal(ContractError(first.reason, detail))
    problem.more["errors"] = list(errors[:MAX_ERRORS])
    return problem


def _hops(telemetry: Iterable[Telemetry], begun_ms: float, accepted_ms: float) -> list[HopEvent]:
    """A traced message's first two stations: when it came in here, and when the broker had it."""
    hops: dict[tuple[str, str, str], int] = {}
    for each in telemetry:
        if each.traced:
            last = each.readings[-1]
            key = (each.correlation_id or last.id, last.site, last.device)
            hops[key] = hops.get(key, 0) + len(each.readings)
    return [
        HopEvent(
            site=site,
            device=device,
            correlation_id=correlation_id,
            station=station,
            at_ms=at_ms,
            readings=readings,
            did=did,
            detail={"via": "http"},
        )
        for (correlation_id, site, device), readings in hops.items()
        for station, did, at_ms in (("device", "published", begun_ms), ("broker", "accepted", accepted_ms))
    ]
