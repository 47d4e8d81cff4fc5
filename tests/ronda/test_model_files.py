"""A model that was used once is at hand while its keeper is away, and only if its bytes are those promoted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cloud.agents.detection_ports import EarlierFormatError
from cloud.agents.fault_names import ClassifierRef
from cloud.models.artifacts import ArtifactError, Artifacts
from contract.errors import TransientError
from detection.model import Model, sha256
from ronda.model_files import ModelFiles
from tests.agents.detection_bench import MODEL, promotion

PAYLOAD = MODEL.to_bytes()
PROMOTED = msgspec.structs.replace(
    promotion(), model=msgspec.structs.replace(promotion().model, sha256=sha256(PAYLOAD)), artifact_uri="any:"
)


class Keeper(Artifacts):
    """Hands out bytes, unless it is away."""

    def __init__(self, payload: bytes) -> None:
        super().__init__()
        self.payload, self.away = payload, False

    def _fetch(self, uri: str) -> bytes:
        if self.away:
            raise TransientError(f"{uri} is away")
        return self.payload


async def test_a_start_while_the_keeper_is_away_goes_on_with_the_copy(tmp_path: Path) -> None:
    keeper = Keeper(PAYLOAD)
    assert await ModelFiles(keeper, tmp_path / "copies").load(PROMOTED) == MODEL
    keeper.away = True
    assert await ModelFiles(keeper, tmp_path / "copies").load(PROMOTED) == MODEL


async def test_the_newest_three_of_a_machine_are_kept_so_that_a_roll_back_needs_no_keeper(tmp_path: Path) -> None:
    versions = [PAYLOAD.replace(b'"rows":900', f'"rows":{90 + number}'.encode()) for number in range(5)]
    assert len(set(versions)) == 5
    keeper = Keeper(b"")
    files = ModelFiles(keeper, tmp_path)
    promoted = [
        msgspec.structs.replace(PROMOTED, model=msgspec.structs.replace(PROMOTED.model, sha256=sha256(payload)))
        for payload in versions
    ]
    for payload, each in zip(versions, promoted, strict=True):
        keeper.payload = payload
        await files.load(each)
    keeper.away = True
    for each in promoted[2:]:
        await files.load(each)
    with pytest.raises(TransientError):
        await files.load(promoted[1])
    assert len(list(tmp_path.iterdir())) == 3


async def test_a_copy_of_other_bytes_is_no_copy(tmp_path: Path) -> None:
    keeper = Keeper(PAYLOAD)
    files = ModelFiles(keeper, tmp_path)
    await files.load(PROMOTED)
    keeper.away = True
    (copy,) = tmp_path.iterdir()
    copy.write_bytes(PAYLOAD.replace(b"2.5", b"9.5"))
    with pytest.raises(TransientError):
        await files.load(PROMOTED)


async def test_a_copy_does_not_hide_that_the_artifact_was_changed(tmp_path: Path) -> None:
    keeper = Keeper(PAYLOAD)
    files = ModelFiles(keeper, tmp_path)
    await files.load(PROMOTED)
    keeper.payload = PAYLOAD.replace(b"2.5", b"9.5")
    with pytest.raises(ArtifactError, match="changed after its promotion"):
        await files.load(PROMOTED)


async def test_the_copy_stands_for_an_artifact_that_was_changed_if_it_is_what_was_promoted(tmp_path: Path) -> None:
    keeper = Keeper(PAYLOAD)
    files = ModelFiles(keeper, tmp_path)
    assert await files.own_copy(PROMOTED) is None
    await files.load(PROMOTED)
    keeper.payload = b"changed"
    assert await files.own_copy(PROMOTED) == MODEL
    (copy,) = tmp_path.iterdir()
    copy.write_bytes(PAYLOAD.replace(b"2.5", b"9.5"))
    assert await files.own_copy(PROMOTED) is None
    assert await ModelFiles(keeper).own_copy(PROMOTED) is None


async def test_without_a_place_for_copies_it_works_as_well(tmp_path: Path) -> None:
    keeper = Keeper(PAYLOAD)
    assert isinstance(await ModelFiles(keeper).load(PROMOTED), Model)
    keeper.away = True
    with pytest.raises(TransientError):
        await ModelFiles(keeper).load(PROMOTED)
    unwritable = tmp_path / "file"
    unwritable.write_text("in the way")
    assert await ModelFiles(Keeper(PAYLOAD), unwritable / "below").load(PROMOTED) == MODEL


@pytest.mark.parametrize(
    ("payload", "is_outdated"),
    [
        (PAYLOAD.replace(b'"format":2', b'"format":1'), True),
        (b'{"format":1}', True),
        (PAYLOAD.replace(b'"format":2', b'"format":3'), False),
        (PAYLOAD.replace(b'"rows":900', b'"rows":0'), False),
        (b"{}", False),
    ],
)
async def test_a_model_of_an_earlier_format_is_told_from_one_that_is_no_model(
    payload: bytes, is_outdated: bool
) -> None:
    model = msgspec.structs.replace(PROMOTED.model, sha256=sha256(payload))
    with pytest.raises(EarlierFormatError if is_outdated else ArtifactError, match="cannot be used"):
        await ModelFiles(Keeper(payload)).load(msgspec.structs.replace(PROMOTED, model=model))


async def test_what_is_no_classifier_is_refused() -> None:
    ref = ClassifierRef(site="plant-1", name="faults", version="1", sha256=sha256(b"{}"), artifact_uri="any:")
    with pytest.raises(ArtifactError, match="classifier"):
        await ModelFiles(Keeper(b"{}")).load_classifier(ref)
