"""What can go wrong, told apart by what a caller may do about it."""

from __future__ import annotations

import enum


class RondaError(Exception):
    """Base of every error that Ronda raises on purpose."""


class Reason(enum.StrEnum):
    """Why a reading was refused: the code in the quarantine, in the HTTP problem and in the event."""

    MALFORMED_JSON = "malformed_json"
    WRONG_SHAPE = "wrong_shape"
    BAD_NAME = "bad_name"
    TOO_LARGE = "too_large"
    NO_VALUES = "no_values"
    NOT_FINITE = "not_finite"
    TIME_IN_SECONDS = "time_in_seconds"
    TIME_IN_MICROSECONDS = "time_in_microseconds"
    TIME_BEFORE_2000 = "time_before_2000"
    TIME_IN_FUTURE = "time_in_future"
    UNKNOWN_METRIC = "unknown_metric"
    OUT_OF_RANGE = "out_of_range"
    IDENTITY_CONFLICT = "identity_conflict"
    INTERNAL_ERROR = "internal_error"


class ContractError(RondaError):
    """A message that does not keep the contract; the same bytes will never be right, so never retried."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class TransientError(RondaError):
    """Something outside is away for the moment; the same work may succeed later, so always retried."""
