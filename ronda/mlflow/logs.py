"""What MLflow's worker needs of us: its log lines as JSON, and an end when the process that started it ends.

Named by `logs.json`, which uvicorn reads when it starts.
"""

from __future__ import annotations

from ronda.logs import JsonFormatter
from ronda.processes import follow_supervisor


def formatter() -> JsonFormatter:
    """The formatter of every line. Being asked for it is the first we hear of the worker's start."""
    follow_supervisor()
    return JsonFormatter("mlflow")
