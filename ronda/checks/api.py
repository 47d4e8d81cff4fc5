"""The API of the environment that is looked at, and who we are there."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from contract.errors import TransientError
from ronda.checks.line import FailedCheckError
from ronda.parts import Surroundings
from ronda.tls.listening import own_trust, own_url

ADMIN = "admin"
_TIMEOUT_S = 30.0


class Door:
    """Opens connections to the API, with nobody's token or with somebody's."""

    def __init__(self, around: Surroundings) -> None:
        self.base_url = around.runtime.base_url if around.installation is None else own_url(around.runtime)
        self._around = around
        self._tls = own_trust(around.runtime) or _trust(around.settings.mqtt_ca_file)

    @contextlib.asynccontextmanager
    async def anonymous(self) -> AsyncIterator[httpx.AsyncClient]:
        """A caller without a token. Raises: TransientError when nobody answers."""
        async with httpx.AsyncClient(base_url=self.base_url, timeout=_TIMEOUT_S, verify=self._tls) as http:
            try:
                yield http
            except httpx.TransportError as error:
                raise TransientError(f"no answer from the API at {self.base_url} ({error!r})") from error

    @contextlib.asynccontextmanager
    async def logged_in(self, username: str, password: str) -> AsyncIterator[httpx.AsyncClient]:
        """A caller with a token of their own. Raises: FailedCheckError when they are not let in."""
        async with self.anonymous() as http:
            answer = await http.post("/api/v1/auth/token", data={"username": username, "password": password})
            if answer.status_code != 200:
                raise FailedCheckError(
                    f"{username} is not let in ({answer.status_code}: {answer.text[:200]})",
                    "set ADMIN_PASSWORD to the first user's password, as the API has it",
                )
            http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
            yield http

    def as_admin(self) -> contextlib.AbstractAsyncContextManager[httpx.AsyncClient]:
        """The first user."""
        return self.logged_in(ADMIN, self._around.secrets.admin_password)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Public authorities, and the private one that signed the broker's certificate: it signs the API's too."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
