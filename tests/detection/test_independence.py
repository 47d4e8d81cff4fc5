"""Scoring stays light and alone."""

from __future__ import annotations

import subprocess
import sys


def test_scoring_imports_numpy_and_msgspec_and_nothing_else_of_weight() -> None:
    program = (
        "import sys, detection.detector, detection.fit; "
        "print(*sorted({m.split('.')[0] for m in sys.modules} & "
        "{'scipy', 'sklearn', 'pandas', 'mlflow', 'contract', 'cloud', 'sqlalchemy', 'httpx'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
