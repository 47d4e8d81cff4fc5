"""Where the registry is, by what the settings say."""

from __future__ import annotations

import pytest

from ronda.mlflow.tracking import tracking
from ronda.settings import Settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def said(monkeypatch: pytest.MonkeyPatch, **settings: str) -> tuple[str, tuple[str, str] | None]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return tuple(tracking(Settings(_env_file=None)))


def test_nothing_set_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch) == ("", None)


def test_a_server_comes_before_the_database_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    database = "postgresql://u:p@db/mlflow"
    assert said(monkeypatch, MLFLOW_BACKEND_STORE_URI=database) == ("postgresql+psycopg://u:p@db/mlflow", None)
    assert said(monkeypatch, MLFLOW_TRACKING_URI="http://mlflow:5000") == ("http://mlflow:5000", None)


def test_a_password_in_the_address_is_taken_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(monkeypatch, MLFLOW_TRACKING_URI="https://plant:h%40sh@mlflow.example:8443/base")
    assert found == ("https://mlflow.example:8443/base", ("plant", "h@sh"))


def test_a_user_may_stand_beside_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(
        monkeypatch,
        MLFLOW_TRACKING_URI="http://mlflow:5000",
        MLFLOW_TRACKING_USERNAME="plant",
        MLFLOW_TRACKING_PASSWORD="hush",
    )
    assert found == ("http://mlflow:5000", ("plant", "hush"))
