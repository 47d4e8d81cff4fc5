"""`ronda check` looks at what it is pointed at, and leaves it as it was."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from cloud.storage.database import Database
from cloud.storage.layout import schema_version
from cloud.storage.migrate import upgrade
from contract.errors import RondaError
from ronda.checks.run import run_check
from ronda.checks.state import checks
from ronda.parts import Surroundings
from ronda.settings import Settings
from tests.support.database import empty_url, postgres

__all__ = ["empty_url", "postgres"]


async def test_a_database_of_an_older_version_is_not_migrated_by_being_looked_at(empty_url: str) -> None:
    around = SimpleNamespace(runtime=SimpleNamespace(database_url=empty_url), settings=Settings())
    lines = checks(cast("Surroundings", around))
    database = Database(empty_url)
    await database.open()
    async with database.begin() as connection:
        await connection.run_sync(upgrade, "0001")
    for name in ("database and its schema", "indexes", "seed rows"):
        with pytest.raises(RondaError):
            await lines[name]()
    async with database.begin() as connection:
        assert await schema_version(connection) == "0001"
    await database.close()


async def test_in_production_it_needs_only_the_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("MQTT_URL", "DATABASE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "mqtt://nowhere")
    monkeypatch.setenv("ENV", "production")
    monkeypatch.setattr("ronda.parts.set_up_logs", lambda *_: None)
    monkeypatch.setattr("ronda.checks.documents.checks", lambda *_: {})
    await run_check(None, ["P4"], pytestconfig.rootpath, as_json=True)
    assert json.loads(capsys.readouterr().out)["lines"] == []
