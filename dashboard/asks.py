"""What the pages ask for: the part of the API's client that they use, in their own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Json = dict[str, Any]


class Asks(Protocol):
    """The API on behalf of one reader; `ronda.client.RondaClient` is one, and its docstrings say what comes back."""

    async def whoami(self) -> Json: ...

    async def devices(self) -> Json: ...

    async def ledger(self) -> Json: ...

    async def anomalies(
        self,
        *,
        site: str | None = None,
        device: str | None = None,
        phase: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Json: ...

    async def anomaly(self, anomaly_id: str) -> Json: ...

    async def chart(
        self,
        site: str,
        device: str,
        *,
        since: int | str | None = None,
        until: int | str | None = None,
        points: int = 2000,
    ) -> Json: ...

    async def simulate(self, fault: str | None = None) -> Json: ...

    async def trace(self, correlation_id: str) -> Json: ...

    async def mails(self, limit: int | None = None) -> Json: ...

    async def mail(self, mail_id: str) -> Json: ...


# A reader's token (None without a session) → the API as that reader may see it.
ClientFor = Callable[[str | None], Asks]
