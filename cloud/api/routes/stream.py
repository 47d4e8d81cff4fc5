"""WebSocket `/api/v1/stream?since=POSITION`: what happens, as it happens."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from cloud.api.callers import Scope
from cloud.api.dependencies import caller_of, services_of
from cloud.api.identify import STREAM_PROTOCOL
from cloud.api.ring import Outlet, milliseconds
from cloud.api.services import Services
from cloud.api.stream import Replay, tell

router = APIRouter(prefix="/api/v1", tags=["stream"])

# RFC 6455 section 7.4.1: policy violation, service restart.
_NOT_ALLOWED = 1008
_EXPIRED = 4401


@router.websocket("/stream")
async def stream(websocket: WebSocket, since: Annotated[int | None, Query(ge=0)] = None) -> None:
    """Send `{position, type, id, data}` until either side ends.

    Types: `hello` (first: `whole` says whether all since `since` follows), `anomaly`, `notification`, `hop`, `reading`
    (at most four a second and device), `agent`, `dropped` (`count` that this listener was too slow for). A repeat has
    the same `id`.
    """
    caller, services = caller_of(websocket), services_of(websocket)
    if Scope.DATA_READ not in caller.scopes:
        await websocket.close(_NOT_ALLOWED, f"this needs the scope {Scope.DATA_READ}")
        return
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=STREAM_PROTOCOL if STREAM_PROTOCOL in offered else None)
    lifetime_s = None
    if caller.expires_at_s is not None:
        lifetime_s = max(0.0, caller.expires_at_s - services.parts.clock_ms() / 1000)
    await _until_either_ends(websocket, services, since, lifetime_s)


async def _until_either_ends(
    websocket: WebSocket, services: Services, since: int | None, lifetime_s: float | None
) -> None:
    """Listen and talk at once: a task that only awaits its queue would keep the server from stopping for minutes."""
    with services.hub.listening() as outlet:
        talking = asyncio.create_task(_talk(websocket, services, outlet, since))
        listening = asyncio.create_task(_listen(websocket))
        done, pending = await asyncio.wait(
            {talking, listening}, timeout=lifetime_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        await asyncio.gather(talking, listening, return_exceptions=True)
        if not done:
            await websocket.close(_EXPIRED, "the token has expired")


async def _listen(websocket: WebSocket) -> None:
    """The browser has nothing to say; this ends when it goes, or when the server stops."""
    try:
        while True:
            await websocket.receive_bytes()
    except (WebSocketDisconnect, KeyError, RuntimeError):
        return


async def _talk(websocket: WebSocket, services: Services, outlet: Outlet, since: int | None) -> None:
    hub = services.hub
    begun = hub.position
    replay = Replay([], whole=True) if since is None else hub.replay(since)
    hello = {"whole": replay.whole, "listeners": hub.listeners, "agents": services.presence.all()}
    await websocket.send_text(tell(begun, "hello", "hello", hello).text)
    if since is not None and not replay.whole:
        for told in await services.history.since(milliseconds(since)):
            await websocket.send_text(told.text)
    for told in replay.told:
        await websocket.send_text(told.text)
    while True:
        waiting, dropped = await outlet.take()
        if dropped:
            await websocket.send_text(_dropped(waiting[0].position, dropped))
        for told in waiting:
            if told.position > begun:
                await websocket.send_text(told.text)


def _dropped(position: int, count: int) -> str:
    body = {"position": position, "type": "dropped", "id": f"dropped-{position}", "data": {"count": count}}
    return msgspec.json.encode(body).decode()
