"""What a device says on `telemetry`, and what an HTTP client posts: decoded, or refused with a reason."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from contract.errors import ContractError, Reason
from contract.identity import UNCOUNTED_BOOT, digest_seq, parse_reading_id, reading_id
from contract.names import is_boot, is_correlation_id, is_metric

# A device's message; a batch of 500 readings of 64 metrics fits. What is larger is not telemetry.
MAX_PAYLOAD_BYTES = 1 << 20
MAX_READINGS = 1000
MAX_METRICS = 64
MAX_SEQ = 2**53 - 1
# What the store's 64 bits hold; whether the time is plausible is asked later.
MAX_TS = 2**63 - 1

# Not JSON, yet what many a firmware's printf writes; worth a reason of its own.
_NOT_FINITE = re.compile(rb"[:,\[]\s*[-+]?(nan|inf|infinity)\b", re.IGNORECASE)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One device at one instant with all its values.

    `measured_at_ms` is UTC epoch milliseconds by the device's clock; `values` maps metric → finite number in the
    unit that the device's registration names.
    """

    site: str
    device: str
    boot: str
    seq: int
    measured_at_ms: int
    values: dict[str, float]

    @property
    def id(self) -> str:
        """The identity written out, `site.device.boot.seq`."""
        return reading_id(self.site, self.device, self.boot, self.seq)

    @property
    def counted(self) -> bool:
        """Did the device count this reading itself?"""
        return self.boot != UNCOUNTED_BOOT


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of a message that could not be decoded; the others of the message are not its fault."""

    reason: Reason
    detail: str
    boot: str | None
    seq: int | None
    payload: bytes


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded message: its sound readings in the order sent, and those that were refused."""

    readings: list[Reading]
    refused: list[Refused]
    replayed: bool = False
    traced: bool = False
    correlation_id: str | None = None
    oldest: int | None = None


class _WireReading(msgspec.Struct):
    values: dict[str, float | None]
    ts: int
    seq: int | None = None


class _WireEnvelope(msgspec.Struct):
    boot: str | None = None
    replayed: bool = False
    traced: bool = False
    correlation_id: str | None = None
    oldest: int | None = None


class _WireOne(_WireEnvelope, kw_only=True):
    values: dict[str, float | None]
    ts: int
    seq: int | None = None


class _WireMany(_WireEnvelope, kw_only=True):
    readings: list[_WireReading]


class _WireRaw(_WireEnvelope, kw_only=True):
    readings: list[msgspec.Raw]


class _WireId(msgspec.Struct):
    seq: Any = None


class _WireBoot(msgspec.Struct):
    boot: str | None = None


class _WireValues(msgspec.Struct):
    values: dict[str, Any] = {}


_decode_one = msgspec.json.Decoder(_WireOne).decode
_decode_many = msgspec.json.Decoder(_WireMany).decode
_decode_raw = msgspec.json.Decoder(_WireRaw).decode
_decode_reading = msgspec.json.Decoder(_WireReading).decode
_decode_id = msgspec.json.Decoder(_WireId).decode
_decode_boot = msgspec.json.Decoder(_WireBoot).decode
_decode_values = msgspec.json.Decoder(_WireValues).decode

_LEAVE_OUT = "a value is NaN or infinite; leave it out instead"
# All that msgspec raises on bytes that are not what was asked for.
_NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(payload: bytes, site: str, device: str) -> Telemetry:
    """Decode what `site`/`device` sent.

    A message of several readings of which some are malformed gives the sound ones and lists the rest in `refused`.
    Raises: ContractError when nothing of the message can be used.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(Reason.TOO_LARGE, f"{len(payload):,} bytes; a message may have {MAX_PAYLOAD_BYTES:,}")
    if not payload:
        raise ContractError(Reason.MALFORMED_JSON, "the message is empty")
    head, readings, refused = _split(payload)
    _check_envelope(head, len(readings) + len(refused))
    _check_correlation_id(head.correlation_id, site, device)
    sound: list[Reading] = []
    for wire in readings:
        try:
            sound.append(_reading(site, device, head.boot, wire))
        except ContractError as error:
            original = payload if isinstance(head, _WireOne) else msgspec.json.encode(wire)
            refused.append(_refusal(error, head.boot, wire.seq, original))
    return Telemetry(
        readings=sound,
        refused=refused,
        replayed=head.replayed,
        traced=head.traced,
        correlation_id=head.correlation_id,
        oldest=head.oldest,
    )


def encode(
    boot: str | None,
    readings: list[tuple[int | None, int, dict[str, float]]],
    *,
    replayed: bool = False,
    traced: bool = False,
    correlation_id: str | None = None,
    oldest: int | None = None,
) -> bytes:
    """The message of a device: `readings` are (seq, measured_at_ms, values), one or many."""
    body: dict[str, object] = {} if boot is None else {"boot": boot}
    rows = [{"ts": ts, "values": values} | ({} if seq is None else {"seq": seq}) for seq, ts, values in readings]
    body |= rows[0] if len(rows) == 1 else {"readings": rows}
    flags = {"replayed": replayed, "traced": traced}
    body |= {name: True for name, on in flags.items() if on}
    if correlation_id is not None:
        body["correlation_id"] = correlation_id
    if oldest is not None:
        body["oldest"] = oldest
    return msgspec.json.encode(body)


def _split(payload: bytes) -> tuple[_WireEnvelope, list[_WireReading], list[Refused]]:
    """The envelope and its readings; the fast path first, then one by one so that a bad one costs only itself."""
    try:
        if b'"readings"' in payload and (many := _split_many(payload)):
            return many
        one = _decode_one(payload)
    except msgspec.ValidationError as error:
        return _split_broken(payload, _problem(error, payload))
    except _NOT_DECODED as error:
        if _NOT_FINITE.search(payload):
            raise ContractError(Reason.NOT_FINITE, _LEAVE_OUT) from error
        raise ContractError(Reason.MALFORMED_JSON, _plain(error)) from error
    return one, [_WireReading(values=one.values, ts=one.ts, seq=one.seq)], []


def _split_many(payload: bytes) -> tuple[_WireEnvelope, list[_WireReading], list[Refused]] | None:
    """The same for a batch; None for a single reading with a metric that happens to be called `readings`."""
    try:
        many = _decode_many(payload)
    except msgspec.ValidationError as error:
        if str(error) == "Object missing required field `readings`":
            return None
        raw = _decode_raw(payload)
        return (raw, *_one_by_one(raw))
    return many, many.readings, []


def _split_broken(payload: bytes, problem: ContractError) -> tuple[_WireEnvelope, list[_WireReading], list[Refused]]:
    """A single reading of the wrong shape: refused by its number where it has one, so that the watermark passes it."""
    try:
        boot = _decode_boot(payload).boot
    except _NOT_DECODED:
        raise problem from None
    seq = _salvaged_seq(payload)
    if boot is None or seq is None:
        raise problem
    return _WireEnvelope(boot=boot), [], [_refusal(problem, boot, seq, payload)]


def _one_by_one(message: _WireRaw) -> tuple[list[_WireReading], list[Refused]]:
    sound: list[_WireReading] = []
    refused: list[Refused] = []
    for raw in message.readings:
        try:
            sound.append(_decode_reading(raw))
        except msgspec.ValidationError as error:
            refused.append(_refusal(_problem(error, raw), message.boot, _salvaged_seq(raw), bytes(raw)))
    return sound, refused


def _problem(error: msgspec.ValidationError, raw: bytes | msgspec.Raw) -> ContractError:
    if "out of range - at `$.values" in str(error):
        return ContractError(Reason.NOT_FINITE, _LEAVE_OUT)
    return ContractError(Reason.WRONG_SHAPE, _plain(error).replace("$.values[...]", _culprit(raw)))


def _culprit(raw: bytes | msgspec.Raw) -> str:
    """The path of the first value that is no number: the library names the field, a person needs the sensor."""
    try:
        values = _decode_values(raw).values
    except _NOT_DECODED:
        return "$.values"
    names = (
        name for name, value in values.items() if isinstance(value, bool) or not isinstance(value, int | float | None)
    )
    return f"$.values[{next(names, '')[:64]!r}]"


def _salvaged_seq(raw: bytes | msgspec.Raw) -> int | None:
    """The seq of a reading that is otherwise unusable, so that the watermark can pass it."""
    try:
        seq = _decode_id(raw).seq
    except _NOT_DECODED:
        return None
    return seq if isinstance(seq, int) and not isinstance(seq, bool) else None


def _refusal(error: ContractError, boot: str | None, seq: int | None, payload: bytes) -> Refused:
    counted = boot is not None and seq is not None and 0 <= seq <= MAX_SEQ
    return Refused(
        reason=error.reason,
        detail=error.detail,
        boot=boot if counted else None,
        seq=seq if counted else None,
        payload=payload,
    )


def _check_envelope(head: _WireEnvelope, count: int) -> None:
    if not 1 <= count <= MAX_READINGS:
        raise ContractError(Reason.WRONG_SHAPE, f"a message has 1 to {MAX_READINGS} readings, this one has {count}")
    if head.boot is not None and not is_boot(head.boot):
        raise ContractError(Reason.WRONG_SHAPE, "boot must be 16 lower-case hexadecimal digits (64 random bits)")
    if head.oldest is not None and (head.boot is None or not 0 <= head.oldest <= MAX_SEQ):
        raise ContractError(Reason.WRONG_SHAPE, "oldest must be a seq of this boot, 0 or more")


def _check_correlation_id(given: str | None, site: str, device: str) -> None:
    """A device may choose any id, but not one under which another device's reading is looked up."""
    if given is None:
        return
    if not is_correlation_id(given):
        raise ContractError(Reason.WRONG_SHAPE, "correlation_id must be 1 to 128 of letters, digits and '._:-'")
    owner = parse_reading_id(given)
    if owner is not None and (owner.site, owner.device) != (site, device):
        raise ContractError(
            Reason.WRONG_SHAPE, f"correlation_id is the identity of a reading of {owner.site}/{owner.device}"
        )


def _reading(site: str, device: str, boot: str | None, wire: _WireReading) -> Reading:
    values = {name: value for name, value in wire.values.items() if value is not None}
    if not values:
        raise ContractError(Reason.NO_VALUES, "a reading has at least one value")
    if len(values) > MAX_METRICS:
        raise ContractError(Reason.WRONG_SHAPE, f"{len(values)} values; a reading has at most {MAX_METRICS}")
    if (bad := next((name for name in values if not is_metric(name)), None)) is not None:
        raise ContractError(Reason.BAD_NAME, f"the metric name {bad[:80]!r} must be 1 to 64 printable characters")
    if (boot is None) != (wire.seq is None):
        raise ContractError(Reason.WRONG_SHAPE, "boot and seq go together: send both, or neither")
    if wire.seq is not None and not 0 <= wire.seq <= MAX_SEQ:
        raise ContractError(Reason.WRONG_SHAPE, f"seq must be 0 to {MAX_SEQ}, this one is {wire.seq}")
    if abs(wire.ts) > MAX_TS:
        raise ContractError(Reason.WRONG_SHAPE, "ts must be epoch milliseconds; this number does not fit 64 bits")
    seq = digest_seq(site, device, wire.ts, values) if wire.seq is None else wire.seq
    return Reading(
        site=site, device=device, boot=boot or UNCOUNTED_BOOT, seq=seq, measured_at_ms=wire.ts, values=values
    )


def _plain(error: Exception) -> str:
    """The library's sentence with the path first, as a person reads it."""
    if isinstance(error, UnicodeDecodeError):
        return f"the text is not UTF-8: {error.reason}"
    if isinstance(error, RecursionError):
        return "the brackets are nested too deeply"
    text, _, path = str(error).partition(" - at `")
    return f"{path.removesuffix('`')}: {text}" if path else text
