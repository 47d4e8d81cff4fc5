"""A bucket of an S3 store, or the part of one below a prefix: read, written in bounded memory, and clear when refused.

Keys come from the environment (AWS_ACCESS_KEY_ID, …), as boto3 reads them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from contract.errors import RondaError, TransientError

# Time for ten kilobytes over a slow line.
_TIMEOUT_S = 10.0
# S3 takes at most 10,000 parts of at least 5 MiB: objects of up to 160 GiB, one part in memory.
_PART_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**20
# What each refusal asks a person to do; the codes are those of Amazon's error list, which other stores use too.
_REMEDIES = {
    "InvalidAccessKeyId": "it does not know AWS_ACCESS_KEY_ID: check the key",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY is not the secret of this key: check it",
    "AccessDenied": "the key may not do this: give it rights on the bucket",
    "NoSuchBucket": "there is no such bucket: make it, or name another",
    "NoSuchKey": "there is no such object",
    # What a HEAD request answers, which has no body to say more.
    "403": "the keys are refused: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "404": "there is no such object",
}
_OUR_FAULT = range(400, 500)


class ObjectStoreError(RondaError):
    """The store was reached and refuses; the text says what to mend."""


class Stored(NamedTuple):
    """An object by its name below the prefix."""

    name: str
    size: int


class ObjectStore:
    """`s3://bucket/prefix`. Raises everywhere: ObjectStoreError when refused, TransientError when the store is away."""

    def __init__(self, uri: str, endpoint_url: str | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        parts = urlsplit(uri)
        if parts.scheme != "s3" or not parts.netloc:
            raise ObjectStoreError(f"{uri} is not an address such as s3://bucket/prefix")
        self.uri = uri.rstrip("/")
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        self._endpoint_url = endpoint_url or None
        self._timeout_s = timeout_s
        self._connected: Any = None

    def check(self) -> None:
        """Ask for one name: are the keys and the bucket right?"""
        with self._explained():
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def names(self) -> Iterator[Stored]:
        """Every object below the prefix."""
        below = f"{self._prefix}/" if self._prefix else ""
        with self._explained():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=below):
                for item in page.get("Contents", []):
                    yield Stored(item["Key"].removeprefix(below), item["Size"])

    def read(self, name: str = "", limit: int | None = None) -> bytes:
        """An object's bytes, at most `limit` of them; the address itself when `name` is empty."""
        with self._explained(name):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read(limit)
        return body

    def chunks(self, name: str) -> Iterator[bytes]:
        """An object's bytes, piece by piece."""
        with self._explained(name):
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]
            yield from body.iter_chunks(_CHUNK_BYTES)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[ObjectWriter]:
        """An object that is there as a whole when the block ends, and not at all when it fails."""
        with self._explained(name):
            writer = ObjectWriter(self._client, self._bucket, self._key(name))
            try:
                yield writer
                writer.finish()
            except BaseException:
                writer.abandon()
                raise

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)

    @property
    def _client(self) -> Any:
        if self._connected is None:
            import boto3
            from botocore.config import Config

            config = Config(
                signature_version="s3v4",
                connect_timeout=self._timeout_s,
                read_timeout=self._timeout_s,
                retries={"mode": "standard", "max_attempts": 2},
            )
            # Not the default session, which keeps the first keys that it has seen for the whole process.
            self._connected = boto3.Session().client("s3", endpoint_url=self._endpoint_url, config=config)
        return self._connected

    @contextlib.contextmanager
    def _explained(self, name: str = "") -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise explained(error, f"{self.uri}/{name}" if name else self.uri) from error


class ObjectWriter:
    """Collects a part, sends it, and so on: a small object goes as one, a large one in parts."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._pending = bytearray()
        self._upload = ""
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        """Take these bytes."""
        self._pending += data
        while len(self._pending) >= _PART_BYTES:
            self._send(bytes(self._pending[:_PART_BYTES]))
            del self._pending[:_PART_BYTES]
        return len(data)

    def finish(self) -> None:
        """Send the rest and put the object in place."""
        if not self._upload:
            self._client.put_object(**self._where, Body=bytes(self._pending))
            return
        if self._pending:
            self._send(bytes(self._pending))
        self._client.complete_multipart_upload(
            **self._where, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
        )

    def abandon(self) -> None:
        """Leave no parts behind, which the store would keep and charge for."""
        if self._upload:
            with contextlib.suppress(Exception):
                self._client.abort_multipart_upload(**self._where, UploadId=self._upload)

    def _send(self, part: bytes) -> None:
        if not self._upload:
            self._upload = self._client.create_multipart_upload(**self._where)["UploadId"]
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._where, UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


def explained(error: Exception, uri: str) -> RondaError:
    """What boto3 says, as one line that tells a person what to do."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return ObjectStoreError(f"{uri}: there are no keys for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not isinstance(error, ClientError):
        return TransientError(f"the store of {uri} is away: {error}")
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _REMEDIES or status in _OUR_FAULT:
        return ObjectStoreError(f"{uri}: {_REMEDIES.get(code, f'the store refuses: {error}')} ({code})")
    return TransientError(f"the store of {uri} is away: {error}")
