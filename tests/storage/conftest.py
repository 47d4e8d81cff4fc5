"""Every test here talks to a real PostgreSQL."""

from __future__ import annotations

from tests.support.database import database, database_url, postgres

__all__ = ["database", "database_url", "postgres"]
