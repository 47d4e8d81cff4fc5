"""What can be wrong with a file that is to be tried."""

from __future__ import annotations

from contract.errors import RondaError


class TrialError(RondaError):
    """The file cannot be tried; the text says what is wrong with it and what to do."""
