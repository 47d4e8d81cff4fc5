"""What is kept in the repository: notebooks without output, rendered copies of these very notebooks, no data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from notebooks.clean import cleaned, source_sha256
from notebooks.execute import FOLDER, names
from notebooks.render import MAX_PICTURE_BYTES
from notebooks.sources import DataMissingError, data_file, sha256
from notebooks.sources import datasets as data_folder
from tests.repository.tree import ROOT
from tests.support.datasets import datasets

COPIES = ROOT / "docs" / "notebooks"
_RIG = [
    *(f"skab/valve2/{number}.csv" for number in range(4)),
    *(f"skab/other/{number}.csv" for number in range(1, 8)),
]
FILES: dict[str, list[str]] = {
    "01_healthy_baseline": ["skab/anomaly-free/anomaly-free.csv", *_RIG],
    "02_detector_on_skab": _RIG,
    "05_classification_benchmark": ["ai4i2020/ai4i2020.csv"],
    "08_pump_classification": _RIG,
    "09_fleet_simulation": [],
}


@pytest.mark.parametrize("name", names())
def test_a_notebook_is_kept_without_output_and_in_one_form(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert text == cleaned(text), "run `python -m notebooks clean`"


@pytest.mark.parametrize("name", names())
def test_the_rendered_copy_is_one_of_this_notebook_and_this_data(name: str) -> None:
    text = (COPIES / f"{name}.md").read_text(encoding="utf-8")
    assert source_sha256(FOLDER / f"{name}.ipynb") in text, "run `make notebooks`"
    # The emulated fleet's data are its generator, whose every comment need not be rendered anew.
    if files := FILES[name]:
        assert sha256([datasets() / file for file in files], datasets()) in text
    assert re.search(r"^Made by `make notebooks` on \d{4}-\d\d-\d\d from", text, re.MULTILINE)
    assert "scikit-learn" in text


@pytest.mark.parametrize("name", names())
def test_every_picture_of_a_copy_is_there_described_small_and_used(name: str) -> None:
    text = (COPIES / f"{name}.md").read_text(encoding="utf-8")
    shown = {Path(link) for _, link in re.findall(r"!\[([^\]]{20,})\]\(([^)]+)\)", text)}
    assert shown == {file.relative_to(COPIES) for file in (COPIES / name).iterdir()}
    assert max((COPIES / file).stat().st_size for file in shown) <= MAX_PICTURE_BYTES


def test_no_data_is_in_the_repository_beside_the_notebooks() -> None:
    kept = [file for folder in (FOLDER, COPIES) for file in folder.rglob("*") if file.is_file()]
    assert {file.suffix for file in kept if "__pycache__" not in file.parts} == {".ipynb", ".py", ".md", ".png"}


def test_an_editor_s_traces_are_cleaned_away() -> None:
    cell = {
        "cell_type": "code",
        "execution_count": 7,
        "id": "9f3c",
        "metadata": {"tags": ["parameters"], "scrolled": True},
        "outputs": [{"output_type": "stream", "text": "secret"}],
        "source": ["a = 1\n", "b = 2"],
    }
    text = cleaned(json.dumps({"cells": [cell], "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 2}))
    assert "secret" not in text
    assert "widgets" not in text
    assert json.loads(text)["cells"][0]["metadata"] == {"tags": ["parameters"]}
    assert cleaned(text) == text


def test_missing_data_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="set RONDA_DATASETS to the folder"):
        data_folder(str(tmp_path / "nowhere"))
    with pytest.raises(DataMissingError, match=r"no data file .*ai4i2020\.csv"):
        data_file(tmp_path, "ai4i2020.csv")


def test_a_renamed_file_is_other_data(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name if name != "c" else "b")
    both = sha256([tmp_path / "a", tmp_path / "b"], tmp_path)
    assert both == sha256([tmp_path / "b", tmp_path / "a"], tmp_path)
    assert both != sha256([tmp_path / "a", tmp_path / "c"], tmp_path)
