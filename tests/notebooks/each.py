"""What holds for every executed notebook, whatever it found."""

from __future__ import annotations

from pathlib import Path

from notebooks.record import EXPERIMENT
from notebooks.render import MAX_PICTURE_BYTES, render
from notebooks.sources import ROOT, sha256
from tests.notebooks.conftest import Execution
from tests.support.datasets import datasets


def is_a_run_in_mlflow(done: Execution, name: str) -> None:
    """Finished, with its figures, and tagged with the checksum of the very data."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=done.tracking_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], filter_string=f"attributes.run_name = '{name}'")
    files = done.results["data"]["files"]
    folder = ROOT if files[0].startswith("edge/") else datasets()
    assert [one.data.tags["data_sha256"] for one in runs] == [sha256([folder / file for file in files], folder)]
    assert runs[0].info.status == "FINISHED"
    assert len(runs[0].data.metrics) > 20
    assert "results.json" in {artifact.path for artifact in client.list_artifacts(runs[0].info.run_id)}


def renders_for_reading(done: Execution, target: Path) -> None:
    """Summary first, checksum last, pictures that load over a telephone."""
    page = render(done.executed, target)
    text = page.read_text(encoding="utf-8")
    assert text.index("**In short.**") < text.index("## ")
    assert done.results["data"]["sha256"] in text
    pictures = list((target / done.executed.stem).glob("*.png"))
    assert len(pictures) >= 4
    assert max(picture.stat().st_size for picture in pictures) <= MAX_PICTURE_BYTES
