"""`ronda health`: true while the part works, and one line that says what was looked for when it does not."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from ronda.stack.health import UnhealthyError, check_health


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_who_listens_is_well(listener: socket.socket) -> None:
    check_health(f"listening:{listener.getsockname()[1]}")


def test_who_listens_no_more_is_not(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(UnhealthyError, match=f"nobody listens on port {port}"):
        check_health(f"listening:{port}")


def test_a_connection_is_a_sign_of_life_and_a_listener_alone_is_none(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(UnhealthyError, match=f"no connection to port {port}"):
        check_health(f"connected:{port}")
    with socket.create_connection(("127.0.0.1", port)):
        check_health(f"connected:{port}")


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's signature
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_address_that_answers_well_is_well(url: str) -> None:
    check_health(f"{url}/well")


@pytest.mark.parametrize("path", ["/ill", "/nowhere"])
def test_an_address_that_answers_with_an_error_is_not(url: str, path: str) -> None:
    with pytest.raises(UnhealthyError, match="503"):
        check_health(f"{url}{path}")


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(UnhealthyError, match="nonsense"):
        check_health("nonsense")
