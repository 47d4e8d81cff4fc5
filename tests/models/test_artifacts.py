"""A promoted model is loaded from where it lies, and only if it is the one that was promoted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloud.models.artifacts import ArtifactError, Artifacts, OutdatedModelError
from contract.errors import TransientError
from detection.fit import fit
from detection.model import sha256
from tests.support.machines import METRICS, healthy, times

MODEL = fit(healthy(300), times(300), METRICS).model
PAYLOAD = MODEL.to_bytes()
CHECKSUM = sha256(PAYLOAD)
PATHS = {
    "/plain/model.json": PAYLOAD,
    "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/model.json": PAYLOAD,
    "/models/champions/model.json": PAYLOAD,
}


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that has the model as a plain file, as a tracking server's artifact and as an S3 object."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PATHS.get(self.path)
            self.send_response(503 if self.path.startswith("/away") else 404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join(5)
    httpd.server_close()


def test_a_file_is_loaded_by_path_and_by_address(tmp_path: Path) -> None:
    file = tmp_path / "a plant" / "model.json"
    file.parent.mkdir()
    file.write_bytes(PAYLOAD)
    assert Artifacts().load(str(file), CHECKSUM) == MODEL
    assert Artifacts().load(file.as_uri(), CHECKSUM) == MODEL


def test_a_model_that_was_changed_after_its_promotion_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_bytes(PAYLOAD.replace(b'"sensitivity":2.5', b'"sensitivity":9.5'))
    with pytest.raises(ArtifactError, match="it was changed after its promotion; train again or restore it"):
        Artifacts().load(str(file), CHECKSUM)


def test_bytes_with_the_right_checksum_that_are_no_model_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="cannot be used: not a model"):
        Artifacts().load(str(file), sha256(b"{}"))


def test_a_model_of_an_earlier_format_is_told_from_one_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    for payload, is_outdated in ((b'{"format":1}', True), (b'{"format":99}', False), (b'{"format":"1"}', False)):
        file.write_bytes(payload)
        with pytest.raises(ArtifactError, match="cannot be used") as refused:
            Artifacts().load(str(file), sha256(payload))
        assert isinstance(refused.value, OutdatedModelError) is is_outdated


def test_a_missing_file_and_an_unknown_kind_of_address_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read: No such file"):
        Artifacts().load(str(tmp_path / "none.json"), CHECKSUM)
    with pytest.raises(ArtifactError, match="models are read from file:"):
        Artifacts().load("ftp://somewhere/model.json", CHECKSUM)


def test_a_web_server_and_a_tracking_server_are_asked_over_http(server: str) -> None:
    assert Artifacts().load(f"{server}/plain/model.json", CHECKSUM) == MODEL
    proxied = "mlflow-artifacts:/1/models/m-1/artifacts/model.json"
    assert Artifacts(f"{server}/").load(proxied, CHECKSUM) == MODEL
    with pytest.raises(ArtifactError, match="set MLFLOW_TRACKING_URI"):
        Artifacts("sqlite:///mlflow.db").load(proxied, CHECKSUM)


def test_an_s3_object_is_read_from_the_given_store(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert Artifacts(s3_endpoint_url=server).load("s3://models/champions/model.json", CHECKSUM) == MODEL
    with pytest.raises(ArtifactError, match="cannot be read"):
        Artifacts(s3_endpoint_url=server).load("s3://models/none.json", CHECKSUM)


def test_what_is_away_may_be_asked_again(server: str) -> None:
    with pytest.raises(TransientError, match="answered 503"):
        Artifacts().load(f"{server}/away", CHECKSUM)
    with pytest.raises(TransientError, match="is away"):
        Artifacts().load("http://127.0.0.1:9/model.json", CHECKSUM)
    with pytest.raises(ArtifactError, match="answered 404"):
        Artifacts().load(f"{server}/none", CHECKSUM)
