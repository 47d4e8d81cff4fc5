"""What the web server itself decides: TLS of today, and whose word on the client is believed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from ronda.guards import free_port
from ronda.tls.listening import Listening
from ronda.tls.serving import server_config
from tests.support.certificates import certificates

FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


async def telling(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that answers how it was asked, and by whom."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['scheme']} {scope['client'][0]}".encode()})


@contextlib.asynccontextmanager
async def served(place: Listening, proxies: Sequence[str] = ()) -> AsyncIterator[int]:
    port = free_port("127.0.0.1")
    config = server_config(telling, place, port, proxies)
    config.lifespan = "off"
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # no setting for it
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await serving


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        ([], "http 127.0.0.1"),
        (["10.0.0.0/8"], "http 127.0.0.1"),
        (["127.0.0.0/8"], "https 203.0.113.9"),
        (["10.0.0.0/8", "127.0.0.1"], "https 203.0.113.9"),
    ],
)
async def test_only_a_named_proxy_says_who_the_client_is(proxies: list[str], said: str) -> None:
    async with served(Listening(), proxies) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/", headers=FORWARDED)
    assert answer.text == said


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_a_certificate_makes_it_https_of_todays_versions(tmp_path: Path) -> None:
    ca, files = certificates(tmp_path)
    async with served(Listening(tls=files)) as port:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca)) as client:
            assert (await client.get(f"https://localhost:{port}/")).text == "https 127.0.0.1"
        old = ssl.create_default_context(cafile=ca)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
        async with httpx.AsyncClient(verify=old) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"https://localhost:{port}/")
