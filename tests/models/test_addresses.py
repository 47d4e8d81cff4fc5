"""Addresses of registries and artifacts, in every usual spelling."""

from __future__ import annotations

import pytest

from cloud.models.addresses import as_uri, backend_store, below, is_server


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_a_postgresql_address_gets_the_driver_that_is_installed(scheme: str) -> None:
    assert backend_store(f"{scheme}://u:p@host:5432/mlflow") == "postgresql+psycopg://u:p@host:5432/mlflow"


@pytest.mark.parametrize("uri", ["", "sqlite:////data/mlflow.db", "http://mlflow:5000", "postgresql+psycopg://host/m"])
def test_any_other_address_stays_as_it_is(uri: str) -> None:
    assert backend_store(uri) == uri
    assert is_server(uri) == uri.startswith("http")


@pytest.mark.parametrize(
    ("uri", "root", "name"),
    [
        ("file:///data/mlflow/artifacts/models/m-1/model.json", "/data/mlflow/artifacts", "models/m-1/model.json"),
        ("file:///data/a%20plant/model.json", "file:///data/a%20plant", "model.json"),
        ("s3://bucket/plant/models/m-1/model.json", "s3://bucket/plant/", "models/m-1/model.json"),
        ("mlflow-artifacts:/1/models/m-1/model.json", "s3://bucket/plant", "1/models/m-1/model.json"),
        ("s3://bucket/plants/model.json", "s3://bucket/plant", None),
        ("s3://bucket/plant", "s3://bucket/plant", None),
    ],
)
def test_a_model_is_named_below_the_root_of_the_artifacts(uri: str, root: str, name: str | None) -> None:
    assert below(uri, root) == name


def test_a_folder_becomes_an_address_that_depends_on_no_working_directory() -> None:
    assert as_uri("models").startswith("file:///")
    assert as_uri("s3://bucket/plant/") == "s3://bucket/plant"
