"""The hub's own word on its queues: on its page for Prometheus, at its /readyz, and once in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from broker.fullness import Fill
from ronda.guards import free_port
from ronda.metrics.fullness import FullnessCollector, look, looked_after
from ronda.metrics.page import Metrics, metrics_served
from ronda.settings import Settings
from ronda.up import ask_readiness

LITTLE, MUCH = [Fill("queue of historian", 1, 10, "messages")], [Fill("queue of historian", 9, 10, "messages")]


async def test_ready_until_a_queue_is_behind(tmp_path: Path):
    metrics, port = Metrics(tmp_path), free_port("127.0.0.1")
    metrics.registry.register(FullnessCollector(metrics.fullness))
    settings = Settings(_env_file=None, metrics_port=port)
    async with metrics_served(settings, metrics.page, metrics.not_ready), httpx.AsyncClient() as http:
        look(metrics.fullness, LITTLE)
        answer = await http.get(f"http://127.0.0.1:{port}/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "behind": []})
        look(metrics.fullness, MUCH)
        answer = await http.get(f"http://127.0.0.1:{port}/readyz")
        assert (answer.status_code, answer.json()["behind"]) == (503, ["queue of historian: 9 of 10 messages"])
    asked = metrics.registry.get_sample_value
    assert asked("ronda_queue_fill_ratio", {"queue": "queue of historian", "unit": "messages"}) == 0.9
    assert asked("ronda_queues_behind") == 1


@pytest.mark.parametrize(
    ("missing", "behind", "started"), [([], ["q"], True), (["database"], ["q"], False), (["database"], [], False)]
)
def test_who_has_everything_and_is_behind_has_started_all_the_same(
    missing: list[str], behind: list[str], started: bool
) -> None:
    told = json.dumps({"missing": missing, "behind": behind, "detail": "words"}).encode()

    class NotReady(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), NotReady) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert ask_readiness(f"http://127.0.0.1:{server.server_port}/readyz", None) == (started, "words")


async def test_a_process_without_queues_has_no_readiness_of_its_own(tmp_path: Path):
    port = free_port("127.0.0.1")
    settings = Settings(_env_file=None, metrics_port=port)
    async with metrics_served(settings, Metrics(tmp_path).page), httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 404


def test_only_a_change_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    fullness = Metrics(tmp_path).fullness
    with caplog.at_level(logging.WARNING, "ronda.queues"):
        for fills in (LITTLE, MUCH, MUCH, LITTLE, LITTLE):
            look(fullness, fills)
    assert [record.message for record in caplog.records] == ["queues.behind", "queues.caught_up"]


async def test_it_is_looked_at_while_the_block_runs(tmp_path: Path):
    fullness = Metrics(tmp_path).fullness
    looks = iter([LITTLE, MUCH])
    seen: list[bool] = []

    def fills() -> list[Fill]:
        seen.append(bool(fullness.behind))
        return next(looks, LITTLE)

    async with looked_after(fullness, fills, every_s=0.0):
        async with asyncio.timeout(10):
            while len(seen) < 4:
                await asyncio.sleep(0)
    assert seen[:4] == [False, False, True, False]
