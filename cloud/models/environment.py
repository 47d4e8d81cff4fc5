"""What MLflow reads from the environment, ours in place of its defaults."""

from __future__ import annotations

# No telemetry, no progress bars, no search for a git binary: a trainer has no network and no terminal.
QUIET = {
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# A server that is away is asked again by the next training. MLflow's own seven tries of growing pauses take minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
