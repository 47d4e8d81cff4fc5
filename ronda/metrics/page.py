"""What this process tells Prometheus, on a port of its own that is open only where an administrator says so."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvicorn
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.fullness import Fullness
from ronda.installation import InstallationError
from ronda.metrics.agents import AgentMetrics
from ronda.settings import Settings

_READY = b'{"ready":true,"behind":[]}'
# A scrape is over within milliseconds; nobody is waited for at the end.
_GRACE_S = 1


class Metrics:
    """The numbers of this process: its agents', its own, and those of whoever adds a collector to `registry`."""

    def __init__(self, disk: Path) -> None:
        # Each counter would have a twin with the time of its birth, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped there
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_Disk(disk))
        self.fullness = Fullness()
        build = Gauge("ronda_build_info", "Always 1", ["version", "python"], registry=self.registry)
        build.labels(version("ronda"), platform.python_version()).set(1)

    def not_ready(self) -> bytes | None:
        """Why who can wait should, as JSON; None while there is no reason."""
        behind = self.fullness.behind
        return msgspec.json.encode({"ready": False, "behind": behind}) if behind else None

    @cached_property
    def agents(self) -> AgentMetrics:
        """The instruments of agents, in a process that has any."""
        return AgentMetrics(self.registry)

    def page(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)


class _Disk(Collector):
    """The disk that holds this process's files: in a container that of the machine below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._folder)
        yield GaugeMetricFamily("ronda_disk_size_bytes", "Size of the disk with the data folder", usage.total)
        yield GaugeMetricFamily("ronda_disk_free_bytes", "What of it is free", usage.free)


@contextlib.asynccontextmanager
async def metrics_served(
    settings: Settings, page: Callable[[], bytes], not_ready: Callable[[], bytes | None] | None = None
) -> AsyncIterator[None]:
    """Serve `page` at `/metrics` on METRICS_PORT, in this very event loop: if that hangs, the scrape fails too.

    `not_ready` says at `/readyz` why not, where a process has queues of its own.

    Raises: InstallationError when the port is taken.
    """
    if not settings.metrics_port:
        yield
        return
    listening = _listening(settings.metrics_listen, settings.metrics_port)

    async def metrics(_: Request) -> Response:
        return Response(page(), media_type=CONTENT_TYPE_LATEST)

    async def readyz(_: Request) -> Response:
        why = not_ready() if not_ready else None
        return Response(why or _READY, 503 if why else 200, media_type="application/json")

    routes = [Route("/metrics", metrics), *([Route("/readyz", readyz)] if not_ready else ())]
    config = uvicorn.Config(
        Starlette(routes=routes),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    # Signals are the process's own business.
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # no setting for it
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _listening(host: str, port: int) -> socket.socket:
    """Bound before anything is served, so that a port that is taken stops the start and not the work."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InstallationError(
            f"METRICS_PORT: nobody can listen on {host}:{port} ({error.strerror}); choose another one, or 0 for none"
        ) from error
