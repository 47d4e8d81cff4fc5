"""A promoted model's bytes, fetched and checked without MLflow: what the detection agent loads."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from cloud.models.addresses import is_server
from cloud.models.object_store import ObjectStore, ObjectStoreError
from contract.errors import RondaError, TransientError
from detection.errors import ModelError
from detection.model import FORMAT, MAX_BYTES, Model, sha256

# Time for ten kilobytes over a slow line.
_TIMEOUT_S = 10.0
_REMEDIES = {
    401: ": set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: ": it must allow this name of itself, see MLFLOW_ALLOWED_HOSTS",
}


class ArtifactError(RondaError):
    """A model's bytes are not there, or not those that were promoted; the model in use stays."""


class OutdatedModelError(ArtifactError):
    """A sound model of an earlier program, which this one cannot read: it is learned anew, and nobody did wrong."""


class Artifacts:
    """Loads promoted models from files, S3, HTTP or the tracking server that proxies its artifacts.

    `tracking_uri` is needed for `mlflow-artifacts:` addresses, `login` (user, password) where that server asks for one;
    `s3_endpoint_url` for a store other than Amazon's. S3 credentials come from the environment (AWS_ACCESS_KEY_ID, …),
    as boto3 reads them. `timeout_s`: how long whoever keeps them may be silent.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        s3_endpoint_url: str | None = None,
        login: tuple[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self._tracking_uri = tracking_uri
        self._s3_endpoint_url = s3_endpoint_url
        self._login = login

    def load(self, artifact_uri: str, checksum: str) -> Model:
        """The model at `artifact_uri`; blocking.

        Raises: ArtifactError when its bytes do not hash to `checksum`, are no model or are not there, and the narrower
            OutdatedModelError when they are one of an earlier format; TransientError when whoever keeps them is away.
        """
        payload = self.fetch(artifact_uri, checksum)
        try:
            return Model.from_bytes(payload)
        except ModelError as error:
            wrong = OutdatedModelError if _is_outdated(payload) else ArtifactError
            raise wrong(f"the model at {artifact_uri} cannot be used: {error}") from error

    def fetch(self, artifact_uri: str, checksum: str) -> bytes:
        """The bytes at `artifact_uri`, such as a classifier's; blocking. Raises as `load`."""
        payload = self._fetch(artifact_uri)
        found = sha256(payload)
        if found != checksum:
            raise ArtifactError(
                f"the model at {artifact_uri} has sha256 {found[:12]}…, promoted was {checksum[:12]}…: "
                "it was changed after its promotion; train again or restore it"
            )
        return payload

    def _fetch(self, uri: str) -> bytes:
        scheme = urlsplit(uri).scheme
        if scheme in {"", "file"}:
            return _file(uri)
        if scheme == "s3":
            return _s3(uri, self._s3_endpoint_url, self._timeout_s)
        if scheme in {"http", "https"}:
            return _http(uri, self._timeout_s)
        if scheme == "mlflow-artifacts":
            return _http(self._proxied(uri), self._timeout_s, self._login)
        raise ArtifactError(f"{uri}: models are read from file:, s3:, http(s): and mlflow-artifacts: addresses")

    def _proxied(self, uri: str) -> str:
        if not self._tracking_uri or not is_server(self._tracking_uri):
            raise ArtifactError(f"{uri} is read through the tracking server; set MLFLOW_TRACKING_URI to its address")
        path = quote(urlsplit(uri).path.lstrip("/"))
        return f"{self._tracking_uri.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts/{path}"


class _Format(msgspec.Struct):
    format: int


def _is_outdated(payload: bytes) -> bool:
    """Is this a model of an earlier format? Its checksum is right, so its own word for that is good enough."""
    try:
        return msgspec.json.decode(payload, type=_Format).format < FORMAT
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _file(uri: str) -> bytes:
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ArtifactError(f"the model at {uri} cannot be read: {error.strerror or error}") from error


def _s3(uri: str, endpoint_url: str | None, timeout_s: float) -> bytes:
    try:
        return ObjectStore(uri, endpoint_url, timeout_s).read(limit=MAX_BYTES + 1)
    except ObjectStoreError as error:
        raise ArtifactError(f"the model cannot be read: {error}") from error


def _http(url: str, timeout_s: float, login: tuple[str, str] | None = None) -> bytes:
    import httpx

    host = urlsplit(url).hostname
    try:
        answer = httpx.get(url, timeout=timeout_s, auth=login)
    except httpx.TransportError as error:
        raise TransientError(f"{host} is away: {error}") from error
    if answer.status_code >= 500:
        raise TransientError(f"{host} answered {answer.status_code}")
    if answer.status_code != 200:
        remedy = _REMEDIES.get(answer.status_code, "")
        raise ArtifactError(f"the model cannot be read: {host} answered {answer.status_code}{remedy}")
    return answer.content
