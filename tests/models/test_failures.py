"""What MLflow's failures mean: wait, or mend something."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cloud.models.artifacts import ArtifactError, Artifacts
from cloud.models.failures import RegistryError
from cloud.models.registry import Registry
from contract.errors import TransientError


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, int]]]:
    """A tracking server that answers everything with one status, and its address."""
    says = {"status": 200}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(says["status"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", says
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (401, RegistryError, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        (403, RegistryError, "add that to the server's MLFLOW_ALLOWED_HOSTS"),
        (503, TransientError, "MLflow at 127.0.0.1"),
    ],
)
def test_a_status_says_who_has_to_act(
    answering: tuple[str, dict[str, int]], status: int, kind: type[Exception], remedy: str
) -> None:
    url, says = answering
    says["status"] = status
    with pytest.raises(kind, match=remedy):
        Registry(url, "").prepare()


def test_a_server_that_is_not_there_is_one_line_and_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TransientError, match=r"^MLflow at 127\.0\.0\.1:9 is away: .*Connection refused$"):
        Registry("http://127.0.0.1:9", "").prepare()


def test_a_password_in_the_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TransientError) as caught:
        Registry("http://plant:hush@127.0.0.1:9", "").prepare()
    assert "hush" not in str(caught.value)


def test_a_database_that_is_away_is_transient_and_one_that_refuses_is_not(postgres: str) -> None:
    with pytest.raises(TransientError, match="MLflow's database is away"):
        Registry("postgresql://nobody:nothing@127.0.0.1:9/mlflow", "unused").prepare()
    with pytest.raises(RegistryError, match=r"MLflow's database refuses us: .*authentication failed"):
        Registry(postgres.replace("@", "x@"), "unused").prepare()


def test_the_detection_agent_logs_in_where_the_server_asks() -> None:
    seen: list[str | None] = []

    class Asks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asks)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(ArtifactError, match="set MLFLOW_TRACKING_USERNAME"):
        Artifacts(url, login=("plant", "hush")).load("mlflow-artifacts:/1/model.json", "0")
    # RFC 7617: base64 of plant:hush.
    assert seen == ["Basic cGxhbnQ6aHVzaA=="]
    server.shutdown()
    thread.join(5)
    server.server_close()
