"""Which failures of MLflow pass by themselves, and which one a person must mend: each as one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cloud.models.object_store import explained
from contract.errors import RondaError, TransientError

_REMEDIES = {
    401: "it wants a user: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "it does not answer to the name by which we ask it: add that to the server's MLFLOW_ALLOWED_HOSTS",
}
# What a person must mend, in PostgreSQL's own words: a wrong password, no such role or database.
_LOCKED_OUT = ("authentication failed", "does not exist")


class RegistryError(RondaError):
    """MLflow was reached and refuses; the text says what to mend."""


@contextlib.contextmanager
def told_apart(tracking_uri: str) -> Iterator[None]:
    """Raises: TransientError when MLflow, its database or its store of artifacts is away, RegistryError when one of
    them refuses; our own mistakes as they are.
    """
    try:
        yield
    except RondaError:
        raise
    except Exception as error:
        told = failure(error, _place(tracking_uri))
        if told is None:
            raise
        raise told from error


def failure(error: BaseException, place: str) -> RondaError | None:
    """What to raise instead of `error`, which came from MLflow at `place`; None when it is a mistake of ours.

    MLflow wraps what happened once or more, so its cause is looked for below it.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException
    from requests.exceptions import HTTPError, RequestException
    from sqlalchemy.exc import DBAPIError

    chain: list[Any] = list(_chain(error))
    for cause in chain:
        if isinstance(cause, BotoCoreError | ClientError):
            return explained(cause, "the artifacts")
        if isinstance(cause, HTTPError) and cause.response is not None:
            return _by_status(cause.response.status_code, place, cause)
        if isinstance(cause, RequestException):
            return TransientError(f"MLflow at {place} is away: {_line(chain[-1])}")
        if isinstance(cause, DBAPIError):
            return _of_database(_line(cause.orig or cause))
    outermost: Any = next((cause for cause in chain if isinstance(cause, MlflowException)), None)
    if outermost is None:
        return None
    return _by_status(outermost.get_http_status_code(), place, outermost)


def _of_database(said: str) -> RondaError:
    """Psycopg gives no code for what the server said before it let us in."""
    if any(word in said for word in _LOCKED_OUT):
        return RegistryError(f"MLflow's database refuses us: {said}")
    return TransientError(f"MLflow's database is away: {said}")


def _by_status(status: int, place: str, error: BaseException) -> RondaError:
    if status >= 500:
        return TransientError(f"MLflow at {place} cannot do it now: {_line(error)}")
    return RegistryError(f"MLflow at {place} refuses: {_REMEDIES.get(status, _line(error))}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and below it what it was raised from or during."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _place(tracking_uri: str) -> str:
    """The address without the password that may stand in it."""
    parts = urlsplit(tracking_uri)
    return parts.netloc.rpartition("@")[2] or tracking_uri


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
