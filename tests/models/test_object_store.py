"""A real S3 store: what is written in parts comes back whole, and every refusal says what to mend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloud.models import object_store
from cloud.models.artifacts import ArtifactError, Artifacts
from cloud.models.object_store import ObjectStore, ObjectStoreError
from contract.errors import TransientError
from detection.fit import fit
from detection.model import sha256
from tests.support.machines import METRICS, healthy, times
from tests.support.seaweed import Seaweed, seaweed

BUCKET = "models"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("seaweed"), BUCKET) as running:
        yield running


@pytest.fixture(autouse=True)
def keys(store: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)


def at(store: Seaweed, path: str = BUCKET) -> ObjectStore:
    return ObjectStore(f"s3://{path}", store.url)


def test_what_is_written_in_parts_comes_back_whole(store: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 * 2**20)
    content = bytes(range(256)) * 4 * 2**10 * 12  # 12 MiB: three parts
    place = at(store, f"{BUCKET}/parts")
    with place.writing("large") as writer:
        for start in range(0, len(content), 300_000):
            writer.write(content[start : start + 300_000])
    assert b"".join(place.chunks("large")) == content
    assert place.read("large", 10) == content[:10]
    assert [*place.names()] == [("large", len(content))]
    assert store.client().head_object(Bucket=BUCKET, Key="parts/large")["ETag"].endswith('-3"')


def test_what_fails_half_way_leaves_nothing_behind(store: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 * 2**20)
    place = at(store, f"{BUCKET}/failed")

    def fail() -> None:
        with place.writing("half") as writer:
            writer.write(bytes(6 * 2**20))
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        fail()
    assert [*place.names()] == []
    assert "Uploads" not in store.client().list_multipart_uploads(Bucket=BUCKET, Prefix="failed/")


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", "it does not know AWS_ACCESS_KEY_ID: check the key"),
        ("AWS_SECRET_ACCESS_KEY", "guessed", "AWS_SECRET_ACCESS_KEY is not the secret of this key"),
    ],
)
def test_wrong_keys_are_refused_in_words(
    store: Seaweed, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(ObjectStoreError, match=remedy):
        at(store).check()


def test_missing_keys_a_missing_bucket_and_a_missing_object_are_told_apart(
    store: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ObjectStoreError, match="there is no such bucket: make it"):
        at(store, "none-such").check()
    with pytest.raises(ObjectStoreError, match="models/none: there is no such object"):
        at(store).read("none")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ObjectStoreError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        at(store).check()


def test_a_store_that_is_away_may_be_asked_again() -> None:
    with pytest.raises(TransientError, match="the store of s3://models is away"):
        ObjectStore("s3://models", "http://127.0.0.1:9").check()


def test_only_an_address_of_a_bucket_will_do() -> None:
    with pytest.raises(ObjectStoreError, match="is not an address such as s3://bucket/prefix"):
        ObjectStore("models")


def test_a_model_is_read_straight_from_the_bucket(store: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(healthy(300), times(300), METRICS).model
    payload = model.to_bytes()
    with at(store, f"{BUCKET}/champions").writing("model.json") as writer:
        writer.write(payload)
    address = f"s3://{BUCKET}/champions/model.json"
    assert Artifacts(s3_endpoint_url=store.url).load(address, sha256(payload)) == model
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(ArtifactError, match="AWS_SECRET_ACCESS_KEY is not the secret"):
        Artifacts(s3_endpoint_url=store.url).load(address, sha256(payload))
