"""A real MLflow over SQLite, in a folder whose name has a space and made once; a real PostgreSQL for stored rows."""

from __future__ import annotations

import pytest

from cloud.models.registry import Registry
from tests.support.database import database, database_url, postgres

__all__ = ["database", "database_url", "postgres", "registry"]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("a plant")
    made = Registry(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
    made.prepare()
    return made
