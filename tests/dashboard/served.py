"""The dashboard on a real server with a scripted stream, for a real browser."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from starlette.responses import JSONResponse, RedirectResponse

from dashboard.app import create_dashboard
from tests.dashboard.plant import Plant

COOKIE = "ronda_session"
OPEN = ("/ui/login", "/ui/assets/", "/ui/_dash-component-suites/", "/api/v1/auth/session")


class Scripted:
    """The server: `say` speaks on the stream, `hang_up` breaks it, `asked` lists the `since` of each connection."""

    def __init__(self, zone: str = "America/Sao_Paulo") -> None:
        self.plant = Plant()
        self.app = FastAPI()
        self.asked: list[str | None] = []
        self.refuse_streams = False
        self._sockets: set[WebSocket] = set()
        self._position = self.plant.now_ms * 1000
        self._loop: asyncio.AbstractEventLoop | None = None
        self._add_session()
        self._add_stream()
        self.dash = create_dashboard(self.app, lambda _: self.plant, clock_ms=lambda: self.plant.now_ms, time_zone=zone)
        self.app.middleware("http")(_gate)

    def say(self, kind: str, data: dict[str, Any], identity: str | None = None) -> None:
        """One event to every browser."""
        self._position += 1000
        body = {"position": self._position, "type": kind, "id": identity or str(self._position), "data": data}
        self._await(self._tell(json.dumps(body)))

    def hang_up(self) -> None:
        """Break every connection, as a restarted server does."""
        self._await(self._close())

    @property
    def connections(self) -> int:
        """How many browsers listen right now."""
        return len(self._sockets)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve on a free port; the address, such as `http://127.0.0.1:40123`."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(self.app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)

    def _add_session(self) -> None:
        @self.app.post("/api/v1/auth/session")
        async def log_in(request: Request) -> Response:
            body = await request.json()
            if body != {"username": "admin", "password": "right"}:
                return JSONResponse({"detail": "wrong"}, 401)
            response = JSONResponse({"subject": "admin"})
            response.set_cookie(COOKIE, "token", httponly=True, samesite="strict")
            return response

        @self.app.delete("/api/v1/auth/session")
        async def log_out() -> Response:
            response = Response(status_code=204)
            response.delete_cookie(COOKIE)
            return response

        @self.app.get("/api/v1/auth/session")
        async def who() -> dict[str, str]:
            return {"subject": "admin"}

    def _add_stream(self) -> None:
        @self.app.websocket("/api/v1/stream")
        async def stream(websocket: WebSocket, since: str | None = None) -> None:
            self._loop = asyncio.get_running_loop()
            if self.refuse_streams:
                await websocket.close(1013)
                return
            self.asked.append(since)
            await websocket.accept()
            hello = {"position": self._position, "type": "hello", "id": "hello", "data": {"whole": True}}
            await websocket.send_text(json.dumps(hello))
            self._sockets.add(websocket)
            try:
                while True:
                    await websocket.receive_text()
            except (WebSocketDisconnect, RuntimeError):
                self._sockets.discard(websocket)

    async def _tell(self, text: str) -> None:
        for each in list(self._sockets):
            await each.send_text(text)

    async def _close(self) -> None:
        for each in list(self._sockets):
            self._sockets.discard(each)
            await each.close(1012)

    def _await(self, work: Any) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)


async def _gate(request: Request, call_next: Any) -> Response:
    path = request.url.path
    if path.startswith("/ui") and not path.startswith(OPEN) and COOKIE not in request.cookies:
        return RedirectResponse(f"/ui/login?next={path}", 303)
    return await call_next(request)
