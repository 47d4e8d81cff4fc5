"""What a person is told when a backup cannot be made or restored."""

from __future__ import annotations

from contract.errors import RondaError


class BackupError(RondaError):
    """A backup that cannot be made, read or put in place; the text names the file or the table, and what to do."""
