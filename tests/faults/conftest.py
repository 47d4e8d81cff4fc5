"""A real database for the tests of the counting itself."""

from __future__ import annotations

from tests.support.database import database, database_url, postgres

__all__ = ["database", "database_url", "postgres"]
