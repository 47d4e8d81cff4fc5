"""`python -m notebooks` executes every notebook and renders its copy; with `clean` it empties them for git."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from notebooks.clean import cleaned
from notebooks.execute import FOLDER, execute, names
from notebooks.render import render
from notebooks.sources import ROOT


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m notebooks", description=__doc__)
    parser.add_argument("do", nargs="?", choices=["render", "clean"], default="render")
    parser.add_argument("--only", default="", help="the beginning of a notebook's name, such as 05")
    parser.add_argument("--datasets", default="", help="the data folder; by default RONDA_DATASETS")
    parser.add_argument(
        "--tracking-uri", default="", help="MLflow; by default MLFLOW_TRACKING_URI, else a file in mlruns/"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "notebooks", help="where the copies go")
    asked = parser.parse_args()
    for name in names():
        if not name.startswith(asked.only):
            continue
        if asked.do == "clean":
            clean(name)
        else:
            made(name, asked.to, {"datasets": asked.datasets, "tracking_uri": asked.tracking_uri})


def made(name: str, target: Path, parameters: dict[str, str]) -> None:
    """Execute one notebook and render it, telling how long that took."""
    started = time.monotonic()
    executed = execute(name, ROOT / "mlruns" / name, parameters)
    page = render(executed, target)
    print(f"{name}: {time.monotonic() - started:.0f} s, {page}")


def clean(name: str) -> None:
    """Leave nothing in a notebook but what its author wrote."""
    file = FOLDER / f"{name}.ipynb"
    file.write_text(cleaned(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
