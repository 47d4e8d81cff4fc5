"""What came of it: a value, or the refusal. Every other exception is a bug and comes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from contract.errors import ContractError

T = TypeVar("T")


def outcome(read: Callable[..., T], *arguments: object) -> T | ContractError:
    """The value that `read` makes of its arguments, or its ContractError."""
    try:
        return read(*arguments)
    except ContractError as error:
        return error
