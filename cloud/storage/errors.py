"""What a person is told when the database cannot be used."""

from __future__ import annotations

from contract.errors import RondaError


class PostgresError(RondaError):
    """The embedded PostgreSQL cannot run here; the text is one line that says what, where and what to do."""


class DatabaseError(RondaError):
    """The database was reached but cannot be used: wrong password, no such database, not our tables."""
