"""Why something was refused, in words that say what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping

from contract.errors import Reason

_CLOCK = "set the device's clock (NTP); what was measured meanwhile has a wrong time and stays refused"
_SENDER = "mend what the device sends; the reading itself is not to be saved"
_RANGE = (
    "if the value can be true, widen the range (`ronda device metrics SITE/DEVICE --set …`) and replay; "
    "else look at the sensor"
)
_NEW_SENSOR = "if the device has a new sensor, register it (`ronda device metrics SITE/DEVICE --set NAME`) and replay"
_SAME_NUMBER = (
    "two readings have the same number: two devices share a user, or one repeats `boot`; the one stored first stays"
)
_ADVICE: Mapping[str, str] = {
    Reason.MALFORMED_JSON: "the bytes are no JSON: let a gateway decode this device, or mend its firmware",
    Reason.WRONG_SHAPE: "the message has another form than ours: mend the sender, or let a gateway decode it",
    Reason.BAD_NAME: "rename the site, device or metric at the sender",
    Reason.TOO_LARGE: "send fewer readings in a message",
    Reason.NO_VALUES: _SENDER,
    Reason.NOT_FINITE: "leave out a value that was not measured, in place of NaN or infinity",
    Reason.TIME_IN_SECONDS: "send epoch milliseconds: multiply by 1000",
    Reason.TIME_IN_MICROSECONDS: "send epoch milliseconds: divide by 1000",
    Reason.TIME_BEFORE_2000: _CLOCK,
    Reason.TIME_IN_FUTURE: "set the device's clock (NTP); replay once our clock has passed the readings' time",
    Reason.UNKNOWN_METRIC: _NEW_SENSOR,
    Reason.OUT_OF_RANGE: _RANGE,
    Reason.IDENTITY_CONFLICT: _SAME_NUMBER,
    Reason.INTERNAL_ERROR: "a fault of ours: its traceback is in the agent's log; replay after an update",
}


def advice(reason: str) -> str:
    """What to do about refusals for this reason."""
    return _ADVICE.get(reason, "look at the detail")
