"""A promoted model's bytes, from where the announcement says that they are: with the standard library alone."""

from __future__ import annotations

import base64
import http.client
import ssl
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from contract.errors import TransientError
from detection.model import MAX_BYTES
from edge.gateway.errors import GatewayError

# Time for ten kilobytes over a slow line.
_TIMEOUT_S = 10.0


class Artifacts:
    """Reads models from files, HTTP and the tracking server that passes its artifacts through (`tracking_uri`).

    `login`: user and password, where that server asks for them.
    """

    def __init__(self, tracking_uri: str = "", login: tuple[str, str] | None = None) -> None:
        self._tracking_uri, self._login = tracking_uri.rstrip("/"), login

    def fetch(self, uri: str) -> bytes:
        """The bytes at `uri`; blocking. Raises: TransientError when their keeper is away; GatewayError."""
        scheme = urlsplit(uri).scheme
        if scheme in {"", "file"}:
            return _file(uri)
        if scheme in {"http", "https"}:
            return _http(uri, None)
        if scheme == "mlflow-artifacts" and self._tracking_uri.startswith("http"):
            path = quote(urlsplit(uri).path.lstrip("/"))
            return _http(f"{self._tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}", self._login)
        raise GatewayError(f"a gateway cannot read a model at {uri}; it reads file:, http(s): and, where "
                           "MLFLOW_TRACKING_URI is set, mlflow-artifacts: addresses")  # fmt: skip


def _file(uri: str) -> bytes:
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise GatewayError(f"the model at {uri} cannot be read: {error.strerror or error}") from error


def _http(url: str, login: tuple[str, str] | None) -> bytes:
    there = urlsplit(url)
    connect = http.client.HTTPSConnection if there.scheme == "https" else http.client.HTTPConnection
    headers = {} if login is None else {"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"}
    connection = connect(there.hostname or "", there.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", there.path + (f"?{there.query}" if there.query else ""), headers=headers)
        answer = connection.getresponse()
        payload = answer.read(MAX_BYTES + 1)
    except ssl.SSLCertVerificationError as error:
        raise GatewayError(f"{there.hostname} is not trusted: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"{there.hostname} is away: {error}") from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise TransientError(f"{there.hostname} answered {answer.status}")
    if answer.status != 200:
        raise GatewayError(f"the model cannot be read: {there.hostname} answered {answer.status}")
    return payload
