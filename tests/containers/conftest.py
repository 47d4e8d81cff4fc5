"""The real database, for what is prepared in it."""

from __future__ import annotations

from tests.support.database import empty_url, postgres

__all__ = ["empty_url", "postgres"]
