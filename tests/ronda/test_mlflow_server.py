"""What MLflow's server is told, and whose database it gets."""

from __future__ import annotations

import os

import asyncpg
import pytest

from contract.errors import TransientError
from ronda.mlflow.database import ensure_database
from ronda.mlflow.server import server_environment
from ronda.settings import SettingsError
from tests.support.database import database_url, postgres

__all__ = ["database_url", "postgres"]


def environment(allowed: str = "", **ours: str) -> dict[str, str]:
    return server_environment(ours, "sqlite:////data/mlflow.db", "s3://bucket/plant", allowed)


def test_the_server_is_lean_and_serves_its_clients_artifacts() -> None:
    told = environment()
    assert told["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert told["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////data/mlflow.db"
    assert told["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket/plant"
    assert told["RONDA_SUPERVISOR_PID"] == str(os.getpid())


def test_what_clients_are_told_is_not_told_the_server() -> None:
    told = environment(MLFLOW_TRACKING_URI="http://mlflow:5000", AWS_ACCESS_KEY_ID="key")
    assert "MLFLOW_TRACKING_URI" not in told
    assert told["AWS_ACCESS_KEY_ID"] == "key"


def test_the_names_it_answers_to_are_those_given_and_its_own_with_any_port() -> None:
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" not in environment()
    names = environment("mlflow, mlflow.example")["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"mlflow", "mlflow:*", "mlflow.example", "localhost:*", "127.0.0.1"} <= set(names)


async def test_a_database_that_is_not_there_is_made_once(postgres: str) -> None:
    uri = f"postgresql+psycopg{postgres.removeprefix('postgresql').rpartition('/')[0]}/new-registry"
    await ensure_database(uri)
    await ensure_database(uri)
    connection = await asyncpg.connect(postgres.rpartition("/")[0] + "/new-registry")
    await connection.close()
    connection = await asyncpg.connect(postgres.rpartition("/")[0] + "/postgres")
    await connection.execute('DROP DATABASE "new-registry"')
    await connection.close()


async def test_rondas_own_database_is_refused(database_url: str) -> None:
    with pytest.raises(SettingsError, match="this is Ronda's own database; name another one"):
        await ensure_database(database_url)


async def test_a_wrong_password_and_a_server_that_is_away_are_told_apart(postgres: str) -> None:
    with pytest.raises(SettingsError, match="MLFLOW_BACKEND_STORE_URI: the database refuses us: password"):
        await ensure_database(postgres.replace("@", "x@"))
    with pytest.raises(TransientError, match="MLFLOW_BACKEND_STORE_URI: the database is away"):
        await ensure_database("postgresql://u:p@127.0.0.1:9/mlflow")


async def test_another_kind_of_address_is_left_alone() -> None:
    await ensure_database("sqlite:////nowhere/mlflow.db")
