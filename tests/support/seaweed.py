"""A real S3 store for tests: SeaweedFS from its wheel, on free ports of the loopback, which refuses wrong keys."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACCESS_KEY, SECRET_KEY = "plant-key", "plant-secret"
# Ready in a second on an idle machine.
READY_WITHIN_S = 30.0
_PORTS = (
    "s3",
    "s3.grpc",
    "master",
    "master.grpc",
    "volume",
    "volume.grpc",
    "filer",
    "filer.grpc",
    "admin",
    "admin.grpc",
)


class Seaweed:
    """One store in `folder`, empty at first; buckets are never made by writing to them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What MLFLOW_S3_ENDPOINT_URL is set to."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of whoever may write here."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Any:
        """A boto3 client, past everything of ours."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(signature_version="s3v4"),
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The names of all objects."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def start(self) -> Seaweed:
        """Start, on the ports of the last time if there was one, and wait until it answers."""
        ports = self._ports()
        self._port = ports["s3"]
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        options = [f"-{_option(name)}={port}" for name, port in ports.items()]
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("weed")), "mini",
                    f"-dir={self._folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                    f"-s3.config={self._identities()}", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0",
                    "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false", *options,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
            )  # fmt: skip
        self._until_it_answers()
        return self

    def stop(self) -> None:
        """End it; what it stored stays."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for number in self._known_ports():
            # It makes sockets in /tmp, named after its ports, and leaves some of them there.
            for socket_file in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{number}.sock"):
                socket_file.unlink(missing_ok=True)

    def _identities(self) -> Path:
        file = self._folder / "s3.json"
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        file.write_text(json.dumps({"identities": [{"name": "plant", "credentials": keys, "actions": everything}]}))
        return file

    def _ports(self) -> dict[str, int]:
        file = self._folder / "ports.json"
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as held:
                probes = [held.enter_context(socket.socket()) for _ in _PORTS]
                for probe in probes:
                    probe.bind(("127.0.0.1", 0))
                file.write_text(
                    json.dumps({name: probe.getsockname()[1] for name, probe in zip(_PORTS, probes, strict=True)})
                )
        return dict(json.loads(file.read_text()))

    def _known_ports(self) -> list[int]:
        return list(self._ports().values())

    def _until_it_answers(self) -> None:
        assert self._process is not None
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            assert self._process.poll() is None, (self._folder / "weed.log").read_text()
            if _refuses_strangers(self.url):
                return
            time.sleep(0.05)
        raise AssertionError(f"no S3 store after {READY_WITHIN_S} s:\n{(self._folder / 'weed.log').read_text()}")


@contextlib.contextmanager
def seaweed(folder: Path, *buckets: str) -> Iterator[Seaweed]:
    """A store with these buckets, for as long as the block lasts."""
    store = Seaweed(folder)
    try:
        store.start()
        for bucket in buckets:
            store.client().create_bucket(Bucket=bucket)
        yield store
    finally:
        store.stop()


def _option(name: str) -> str:
    """`s3` → `s3.port`, `s3.grpc` → `s3.port.grpc`."""
    part, _, kind = name.partition(".")
    return f"{part}.port.{kind}" if kind else f"{part}.port"


def _refuses_strangers(url: str) -> bool:
    """Ready is when somebody without keys is told so."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as refusal:
        return refusal.code == 403
    except OSError:
        return False
    return False
