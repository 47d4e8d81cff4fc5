"""How MLflow's addresses are written: of its database, and of a model's bytes below the folder that holds them all."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

# The driver that is installed: psycopg 3. MLflow hands the address to SQLAlchemy as it is.
_POSTGRESQL = "postgresql+psycopg"
_OTHER_SPELLINGS = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2")
# The server's own word for "wherever I keep them".
PROXIED = "mlflow-artifacts"


def backend_store(uri: str) -> str:
    """`postgresql://…` and its kin as MLflow can open them; anything else as it is."""
    scheme, mark, rest = uri.partition("://")
    return f"{_POSTGRESQL}{mark}{rest}" if scheme in _OTHER_SPELLINGS else uri


def is_server(tracking_uri: str) -> bool:
    """Is this a tracking server, rather than a database that we open ourselves?"""
    return urlsplit(tracking_uri).scheme in {"http", "https"}


def as_uri(root: str) -> str:
    """A folder as `file:` address, so that it depends on no working directory; another address without a last '/'."""
    return root.rstrip("/") if "://" in root else Path(root).resolve().as_uri()


def below(uri: str, root: str) -> str | None:
    """The name of `uri` below the artifact root `root`; None when it lies elsewhere.

    What a server keeps for its clients (`mlflow-artifacts:`) is named from its root on.
    """
    parts = urlsplit(uri)
    if parts.scheme == PROXIED:
        return unquote(parts.path).strip("/")
    base, here = f"{as_uri(root)}/", as_uri(uri)
    if not here.startswith(base):
        return None
    name = here.removeprefix(base)
    return unquote(name) if base.startswith("file:") else name
