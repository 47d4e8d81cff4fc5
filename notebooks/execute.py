"""Executes a notebook from top to bottom in a process of its own, with the parameters it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from notebooks.sources import ROOT

FOLDER = ROOT / "notebooks"
# A cell that takes longer than this hangs: the slowest takes a minute on two busy cores.
_CELL_S = 600


def names() -> list[str]:
    """The notebooks there are, in order."""
    return sorted(file.stem for file in FOLDER.glob("[0-9]*.ipynb"))


def execute(name: str, output: Path, parameters: Mapping[str, object]) -> Path:
    """Run the notebook `name`; its results and the executed copy, which is returned, are left in the folder `output`.

    Raises: papermill.PapermillExecutionError with the failing cell.
    """
    import papermill
    from traitlets.config import Config

    output.mkdir(parents=True, exist_ok=True)
    # Two cores shared by threads of several libraries are slower than one each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The debugger warns about frozen modules on every start; nobody debugs here.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    executed = output / f"{name}.ipynb"
    with TemporaryDirectory(prefix="ronda-kernel-") as sockets:
        # Over sockets of this user instead of ports that everybody on the machine can reach; in a folder of their own,
        # or two notebooks that run at once would find each other's.
        over = Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}})
        papermill.execute_notebook(
            str(FOLDER / f"{name}.ipynb"),
            str(executed),
            parameters=dict(parameters) | {"output": str(output)},
            kernel_name="python3",
            cwd=str(ROOT),
            config=over,
            progress_bar=False,
            execution_timeout=_CELL_S,
        )
    return executed
