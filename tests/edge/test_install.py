"""What runs near the machine runs without what runs in the cloud, and stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import edge

FOLDER = Path(edge.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if path.stem != "__init__"
)
# What the extras `cloud` and `dashboard` bring, and our own parts that need them.
FORBIDDEN = [
    "alembic", "amqtt", "asyncpg", "boto3", "cloud", "dash", "dashboard", "fastapi", "httpx", "matplotlib", "mlflow",
    "pandas", "pydantic_settings", "scipy", "sklearn", "sqlalchemy", "uvicorn",
]  # fmt: skip

SCRIPT = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ImportError(name + " is not installed near the machine")

sys.meta_path.insert(0, Refuse())
for module in {modules!r}:
    importlib.import_module(module)
print("imported", len({modules!r}))
"""


# The base installation reads settings with it.
OF_THE_COMMAND = ["ronda.cli", "ronda.commands.running", "ronda.gateway"]


def test_the_gateways_command_is_imported_without_the_clouds_dependencies():
    forbidden = {*FORBIDDEN, "cryptography"} - {"pydantic_settings"}
    script = SCRIPT.format(forbidden=forbidden, modules=OF_THE_COMMAND)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == f"imported {len(OF_THE_COMMAND)}", done.stderr


def test_every_module_of_the_edge_is_imported_without_the_clouds_dependencies():
    script = SCRIPT.format(forbidden=set(FORBIDDEN), modules=MODULES)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == f"imported {len(MODULES)}", done.stderr
