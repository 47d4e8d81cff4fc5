"""The door: bytes of one device in, a block of readings with identity and arrival time out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from cloud.agents.agent import Agent, Input, RawTelemetry
from cloud.agents.joining import Joining
from cloud.agents.tracing import hops
from contract.columns import columns
from contract.errors import ContractError
from contract.events import Event, ReadingRejectedEvent, SensorReadingIngestedEvent
from contract.identity import reading_id
from contract.telemetry import Reading, Refused, Telemetry, decode
from contract.topics import DeviceTopic

# Where the topic itself cannot be read there is no device to name; names cannot begin with a dash.
NOBODY = "-"


class DataAcquisitionAgent(Agent):
    """Decodes what devices say and puts aside what is not telemetry, with the reason."""

    name, partitioned = "acquisition", False
    # Ten messages at 2,500 a second, for which nobody waits long.
    rhythm_s = 0.004
    consumes = (RawTelemetry,)
    produces = (SensorReadingIngestedEvent,)

    def __init__(self, clock_ms: Callable[[], float]) -> None:
        self._clock_ms = clock_ms

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Decode each message; one that is not telemetry becomes a refusal with its bytes."""
        joining, refused = Joining(), []
        for raw in batch:
            if isinstance(raw, RawTelemetry):
                refused += _taken(raw, joining)
        ingested = joining.blocks()
        return [*ingested, *refused, *hops(ingested, self.name, "decoded", self._clock_ms())]


def _taken(raw: RawTelemetry, joining: Joining) -> list[Event]:
    """Add the blocks of one message to `joining`; returns what was refused."""
    if (plain := columns(raw.payload)) is not None:
        try:
            topic = _parsed(raw.topic)
        except ContractError as error:
            return [_refusal_of_all(raw, NOBODY, NOBODY, error)]
        joining.add(topic.site, topic.device, plain, raw.received_at_ms)
        return []
    refused: list[Event] = []
    for event in ingest(raw):
        if isinstance(event, SensorReadingIngestedEvent):
            joining.add_whole(event)
        else:
            refused.append(event)
    return refused


# A site's devices, so that a name is looked at once.
_parsed = lru_cache(10_000)(DeviceTopic.parse)


def ingest(raw: RawTelemetry) -> list[Event]:
    """The blocks of one message, and what of it was refused, whatever it may be."""
    try:
        topic = DeviceTopic.parse(raw.topic)
    except ContractError as error:
        return [_refusal_of_all(raw, NOBODY, NOBODY, error)]
    try:
        telemetry = decode(raw.payload, topic.site, topic.device)
    except ContractError as error:
        return [_refusal_of_all(raw, topic.site, topic.device, error)]
    sound: list[Event] = [_block(rows, telemetry, raw) for rows in _alike(telemetry.readings)]
    return sound + [_refusal_of_one(raw, topic, telemetry, refused) for refused in telemetry.refused]


def _alike(readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    """Runs of neighbours with the same metrics, which share one columnar block."""
    return (list(run) for _, run in groupby(readings, key=lambda reading: tuple(reading.values)))


def _block(rows: Sequence[Reading], telemetry: Telemetry, raw: RawTelemetry) -> SensorReadingIngestedEvent:
    first = rows[0]
    return SensorReadingIngestedEvent(
        site=first.site,
        device=first.device,
        boot=first.boot,
        received_at_ms=raw.received_at_ms,
        metrics=list(first.values),
        seq=[row.seq for row in rows],
        measured_at_ms=[row.measured_at_ms for row in rows],
        values=[[row.values[metric] for row in rows] for metric in first.values],
        replayed=telemetry.replayed,
        traced=telemetry.traced,
        request_id=telemetry.correlation_id,
        oldest=telemetry.oldest,
    )


def _refusal_of_all(raw: RawTelemetry, site: str, device: str, error: ContractError) -> ReadingRejectedEvent:
    return ReadingRejectedEvent(
        site=site,
        device=device,
        stage=DataAcquisitionAgent.name,
        reason=error.reason,
        detail=error.detail,
        topic=raw.topic,
        payload=raw.payload,
        received_at_ms=raw.received_at_ms,
    )


def _refusal_of_one(
    raw: RawTelemetry, topic: DeviceTopic, telemetry: Telemetry, refused: Refused
) -> ReadingRejectedEvent:
    own_id = None
    if refused.boot is not None and refused.seq is not None:
        own_id = reading_id(topic.site, topic.device, refused.boot, refused.seq)
    return ReadingRejectedEvent(
        site=topic.site,
        device=topic.device,
        stage=DataAcquisitionAgent.name,
        reason=refused.reason,
        detail=refused.detail,
        topic=raw.topic,
        payload=refused.payload,
        received_at_ms=raw.received_at_ms,
        boot=refused.boot,
        seq=refused.seq,
        correlation_id=telemetry.correlation_id or own_id,
        traced=telemetry.traced,
    )
