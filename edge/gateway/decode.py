"""What a message on the local broker says: readings, values that are gathered into one, or why it is neither."""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from contract import telemetry
from contract.errors import ContractError, Reason
from contract.names import check_device, is_metric
from contract.topics import Channel, DeviceTopic
from edge.gateway.mapping import Mapping, Source
from edge.gateway.patterns import Pattern, filled
from edge.gateway.rows import Arrival, Mark, Refusal

_MAX_DEPTH = 8


class Values(NamedTuple):
    """Numbers of one device, `at_ms` the time that it gave them, if it did."""

    device: str
    values: dict[str, float]
    at_ms: int | None
    source: Source


class Decoded(NamedTuple):
    """What came of one message."""

    readings: Sequence[Arrival] = ()
    values: Values | None = None
    refused: Sequence[Refusal] = ()


class Decoders:
    """The sources of a mapping; the first one whose topic fits decides."""

    def __init__(self, mapping: Mapping) -> None:
        self._site = mapping.site
        self._sources: list[tuple[Pattern, Source]] = [(source.check(), source) for source in mapping.sources]

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        return list(dict.fromkeys(pattern.topic_filter for pattern, _ in self._sources))

    def decode(self, topic: str, payload: bytes) -> Decoded:
        """What this message says; one that says nothing usable is refused, with the reason."""
        try:
            return self._decoded(topic, payload)
        except ContractError as error:
            return Decoded(refused=[Refusal(topic, error.reason, error.detail, payload)])

    def _decoded(self, topic: str, payload: bytes) -> Decoded:
        for pattern, source in self._sources:
            if (found := pattern.match(topic)) is not None:
                if source.format == "ronda":
                    return self._own(topic, payload)
                return Decoded(values=_values(source, found, payload))
        raise ContractError(Reason.BAD_NAME, "no source of the mapping file has this topic")

    def _own(self, topic: str, payload: bytes) -> Decoded:
        """Ronda's own telemetry. What is malformed but counted goes on as it came: the watermark has to pass it."""
        where = DeviceTopic.parse(topic)
        if where.site != self._site or where.channel is not Channel.TELEMETRY:
            raise ContractError(Reason.BAD_NAME, f"this gateway carries the telemetry of the site {self._site}")
        said = telemetry.decode(payload, where.site, where.device)
        mark = Mark(said.replayed, said.traced, said.correlation_id)
        readings = [
            Arrival(
                where.device,
                reading.boot if reading.counted else None,
                reading.seq if reading.counted else None,
                reading.measured_at_ms,
                msgspec.json.encode(reading.values),
                mark,
                said.oldest,
            )
            for reading in said.readings
        ]
        counted = [each for each in said.refused if each.boot is not None]
        readings += [_as_it_came(where.device, each, payload) for each in counted]
        others = [Refusal(topic, each.reason, each.detail, each.payload) for each in said.refused if each.boot is None]
        return Decoded(readings=readings, refused=others)


def _as_it_came(device: str, refused: telemetry.Refused, message: bytes) -> Arrival:
    body = refused.payload
    if body != message:
        body = msgspec.json.encode({"boot": refused.boot, "readings": [msgspec.Raw(body)]})
    return Arrival(device, refused.boot, refused.seq, 0, body, Mark(whole=True))


def _values(source: Source, found: Map[str, str], payload: bytes) -> Values:
    raw = filled(source.device, found)
    try:
        device = check_device(source.devices.get(raw, raw))
    except ContractError as error:
        raise ContractError(error.reason, f"{error.detail}; name it in the source's `devices`") from error
    if len(payload) > telemetry.MAX_PAYLOAD_BYTES:
        raise ContractError(Reason.TOO_LARGE, f"{len(payload):,} bytes; a message may have a megabyte")
    if source.format == "value":
        name = filled(source.metric, found)
        return Values(device, _named(source, {name: _number(payload)}), None, source)
    fields = _flat(_object(payload))
    return Values(device, _named(source, fields), _time(source, fields), source)


def _named(source: Source, fields: Map[str, object]) -> dict[str, float]:
    """The numbers among the fields, under the names that the mapping gives them."""
    wanted = source.metrics or {name: name for name in fields if name != source.time}
    values = {name: number for field, name in wanted.items() if (number := _finite(fields.get(field))) is not None}
    if not values:
        raise ContractError(Reason.NO_VALUES, "there is no number that the mapping file asks for")
    if len(values) > telemetry.MAX_METRICS:
        raise ContractError(Reason.WRONG_SHAPE, f"{len(values)} numbers; choose {telemetry.MAX_METRICS} by `metrics`")
    if bad := next((name for name in values if not is_metric(name)), None):
        raise ContractError(Reason.BAD_NAME, f"the metric name {bad[:80]!r} must be 1 to 64 printable characters")
    return values


def _number(payload: bytes) -> object:
    """One value as text: `21.5`, also in quotation marks, as some devices write it."""
    try:
        return float(payload.decode().strip().strip('"'))
    except (UnicodeDecodeError, ValueError) as error:
        raise ContractError(Reason.WRONG_SHAPE, "the message is not one number") from error


def _object(payload: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(payload, type=dict[str, object])
    except msgspec.ValidationError as error:
        raise ContractError(Reason.WRONG_SHAPE, "the message is JSON, but not an object") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(Reason.MALFORMED_JSON, f"the message is not JSON: {error}") from error


def _flat(fields: Map[str, object], before: str = "", depth: int = 0) -> dict[str, object]:
    """Nested objects as `outer.inner`."""
    flat: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            flat |= _flat(value, f"{before}{name}.", depth + 1)
        else:
            flat[before + name] = value
    return flat


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _time(source: Source, fields: Map[str, object]) -> int | None:
    if source.time is None:
        return None
    given = fields.get(source.time)
    try:
        if source.time_unit == "iso" and isinstance(given, str):
            moment = datetime.fromisoformat(given)
            if moment.tzinfo is None:
                raise ContractError(Reason.WRONG_SHAPE, f"{source.time} says no time zone, such as Z")
            return int(moment.timestamp() * 1000)
        if source.time_unit != "iso" and (number := _finite(given)) is not None and abs(number) < 2**53:
            return int(number * (1000 if source.time_unit == "s" else 1))
    except ValueError:
        pass
    raise ContractError(Reason.WRONG_SHAPE, f"{source.time} is no time in {source.time_unit}: {str(given)[:80]!r}")
