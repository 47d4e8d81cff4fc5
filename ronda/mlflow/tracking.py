"""Where the model registry is: a server, its database opened by ourselves, or a file of the installation."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from cloud.models.addresses import backend_store
from ronda.settings import Settings


class Tracking(NamedTuple):
    """The registry's address, and whom it knows us as (`login`: user, password) where it asks."""

    uri: str
    login: tuple[str, str] | None


def tracking(settings: Settings) -> Tracking:
    """What the settings say; an empty address when they say nothing.

    MLFLOW_TRACKING_URI comes first. Without it MLFLOW_BACKEND_STORE_URI, which `ronda mlflow` serves, is opened by
    each process itself.
    """
    uri = settings.mlflow_tracking_uri
    if not uri:
        return Tracking(backend_store(settings.mlflow_backend_store_uri.get_secret_value()), None)
    parts = urlsplit(uri)
    user = settings.mlflow_tracking_username
    login = (user, settings.mlflow_tracking_password.get_secret_value()) if user else None
    if parts.scheme in {"http", "https"} and parts.username:
        # Taken out, since MLflow writes the address into its messages.
        login = (unquote(parts.username), unquote(parts.password or ""))
        uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return Tracking(backend_store(uri), login)
