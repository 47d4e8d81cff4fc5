"""How the web process serves: over TLS where there is a certificate, and believing only the proxies that are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import uvicorn

from broker.tls import server_context
from ronda.tls.listening import Listening

# Live pages hold a connection each; they reconnect by themselves, so nobody waits for them at the end.
_GRACE_S = 2


def server_config(app: Any, place: Listening, port: int, proxies: Sequence[str]) -> uvicorn.Config:
    """The configuration of uvicorn for the ASGI application `app`.

    `proxies`: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed. They decide whether the
    session cookie is marked Secure and whose address is counted, so by default nobody's are.
    """
    tls = place.tls
    return uvicorn.Config(
        app,
        host=place.address,
        port=port,
        ssl_context_factory=None if tls is None else lambda *_: server_context(tls),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
