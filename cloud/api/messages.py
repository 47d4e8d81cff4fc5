"""What an HTTP client posts, taken apart: telemetry messages with their address, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cloud.api.ports import Address
from contract.errors import ContractError, Reason
from contract.names import check_device, check_site
from contract.plausibility import Metric, fault
from contract.telemetry import MAX_PAYLOAD_BYTES, Reading, Telemetry, decode, encode
from contract.topics import Channel, DeviceTopic

Limits = Mapping[str, Metric]

# A minute of a thousand devices; bounds the work that one request can ask for.
MAX_MESSAGES = 10_000


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the request: `number` is its place, None when the request is that message alone."""

    number: int | None
    site: str
    device: str
    payload: bytes

    @property
    def address(self) -> Address:
        """Whose readings these are."""
        return self.site, self.device


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: where (RFC 6901, `#/2/readings/5`; `index` counts the request's readings), and why."""

    pointer: str
    index: int
    reason: Reason
    detail: str
    site: str | None = None
    device: str | None = None
    boot: str | None = None
    seq: int | None = None


class _Addressed(msgspec.Struct):
    site: str
    device: str


class _Batch(msgspec.Struct):
    readings: list[msgspec.Raw] | None = None
    boot: str | None = None


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_address = msgspec.json.Decoder(_Addressed).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def split(body: bytes) -> list[Posted]:
    """The messages of a request, not yet decoded. Raises: ContractError when there are none to be told apart."""
    if not body.lstrip().startswith(b"["):
        return [_posted(None, body)]
    try:
        raws = _decode_list(body)
    except _NOT_DECODED as error:
        raise _not_json(body, error) from error
    if not 1 <= len(raws) <= MAX_MESSAGES:
        raise ContractError(
            Reason.WRONG_SHAPE, f"a list has 1 to {MAX_MESSAGES:,} messages, this one has {len(raws):,}"
        )
    return [_posted(number, bytes(raw)) for number, raw in enumerate(raws)]


def open_message(posted: Posted) -> Telemetry:
    """The decoded message, whole. Raises: ContractError when any of it cannot be used."""
    telemetry = decode(posted.payload, posted.site, posted.device)
    if telemetry.refused:
        first = telemetry.refused[0]
        raise ContractError(first.reason, first.detail)
    return telemetry


def limits_for(telemetry: Telemetry, registered: Sequence[Metric] | None) -> Limits:
    """The metrics in force: those registered, else those of the message's first reading, which will be registered."""
    if registered is not None:
        return {metric.name: metric for metric in registered}
    return {name: Metric(name=name) for name in telemetry.readings[0].values}


def impossible(posted: Posted, telemetry: Telemetry, limits: Limits, now_ms: int, index: int) -> Iterator[Refusal]:
    """What of a decoded message cannot be true; `index` is that of its first reading in the request."""
    for place, reading in enumerate(telemetry.readings):
        if found := fault(reading.measured_at_ms, reading.values, limits, now_ms):
            pointer = _pointer(posted.number, place if len(telemetry.readings) > 1 else None)
            yield _refusal(posted, pointer, index + place, found.reason, found.detail, reading)


def unusable(posted: Posted, error: ContractError, index: int) -> Iterator[Refusal]:
    """Where in a message that could not be decoded the trouble is: reading by reading where they can be told apart."""
    found = False
    batch = _batch(posted.payload)
    for place, raw in enumerate(batch.readings or ()):
        if trouble := _trouble(posted, batch.boot, raw):
            found = True
            pointer = _pointer(posted.number, place)
            yield _refusal(posted, pointer, index + place, trouble.reason, trouble.detail)
    if not found:
        yield _refusal(posted, _pointer(posted.number, None), index, error.reason, error.detail)


def readings_in(payload: bytes) -> int:
    """How many readings a message that may be broken seems to have, at least one."""
    return max(1, len(_batch(payload).readings or ()))


def outgoing(telemetry: Telemetry) -> tuple[str, bytes]:
    """(topic, payload) as the device itself would have sent it: what is published is what was checked.

    Raises: ContractError when numbers written out in full make it too large.
    """
    first = telemetry.readings[0]
    payload = encode(
        first.boot if first.counted else None,
        [(each.seq if each.counted else None, each.measured_at_ms, each.values) for each in telemetry.readings],
        replayed=telemetry.replayed,
        traced=telemetry.traced,
        correlation_id=telemetry.correlation_id,
        oldest=telemetry.oldest,
    )
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(Reason.TOO_LARGE, f"{len(payload):,} bytes; a message may have {MAX_PAYLOAD_BYTES:,}")
    return str(DeviceTopic(first.site, first.device, Channel.TELEMETRY)), payload


def correlation_ids(telemetry: Telemetry) -> list[str]:
    """The id that the sender chose for the whole message, else each reading's own."""
    if telemetry.correlation_id is not None:
        return [telemetry.correlation_id]
    return [reading.id for reading in telemetry.readings]


def _posted(number: int | None, payload: bytes) -> Posted:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(Reason.TOO_LARGE, f"{len(payload):,} bytes; a message may have {MAX_PAYLOAD_BYTES:,}")
    try:
        address = _decode_address(payload)
        check_site(address.site)
        check_device(address.device)
    except msgspec.ValidationError as error:
        where = "" if number is None else f"message {number}: "
        raise ContractError(Reason.WRONG_SHAPE, f"{where}{error}; a message names its site and device") from error
    except _NOT_DECODED as error:
        raise _not_json(payload, error) from error
    return Posted(number=number, site=address.site, device=address.device, payload=payload)


def _not_json(body: bytes, error: Exception) -> ContractError:
    """The decoder's own word for it: it knows Python's, JavaScript's and printf's spellings of what JSON lacks."""
    is_list = body.lstrip().startswith(b"[")
    try:
        decode(b'{"readings":' + body + b"}" if is_list else body, "-", "-")
    except ContractError as found:
        # What nests too deep to be skipped may be the wrong shape long before.
        if found.reason is Reason.NOT_FINITE or (isinstance(error, RecursionError) and not is_list):
            return found
    return ContractError(Reason.MALFORMED_JSON, str(error))


def _batch(payload: bytes) -> _Batch:
    try:
        return _decode_batch(payload)
    except _NOT_DECODED:
        return _Batch()


def _trouble(posted: Posted, boot: str | None, raw: msgspec.Raw) -> ContractError | None:
    """Why this one reading of a batch cannot be decoded: the same rule, asked of it alone."""
    head = b"{" if boot is None else b'{"boot":' + msgspec.json.encode(boot) + b","
    alone = head + b'"readings":[' + bytes(raw) + b"]}"
    try:
        refused = decode(alone, posted.site, posted.device).refused
    except ContractError as error:
        return error
    return ContractError(refused[0].reason, refused[0].detail) if refused else None


def _pointer(number: int | None, place: int | None) -> str:
    message = "#" if number is None else f"#/{number}"
    return message if place is None else f"{message}/readings/{place}"


def _refusal(
    posted: Posted, pointer: str, index: int, reason: Reason, detail: str, reading: Reading | None = None
) -> Refusal:
    counted = reading is not None and reading.counted
    return Refusal(
        pointer=pointer,
        index=index,
        reason=reason,
        detail=detail,
        site=posted.site,
        device=posted.device,
        boot=reading.boot if counted and reading else None,
        seq=reading.seq if counted and reading else None,
    )
