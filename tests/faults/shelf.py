"""Where the machine's model is kept: an HTTP server that may be away, as an MLflow server may."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class ModelShelf:
    """Serves one model. While `away` it hangs up on everybody."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._server: asyncio.Server | None = None
        self.away = False
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/model.json"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.away:
            self.refused += 1
            writer.transport.abort()
            return
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._model)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self._model)
        await writer.drain()
        writer.close()
