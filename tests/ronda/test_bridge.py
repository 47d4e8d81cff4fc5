"""`ronda bridge` gets a user of its own on the broker: one bridge a site, and no user that stays behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from broker.credentials import Credentials
from ronda.bridge import run_bridge
from ronda.installation import Installation, InstallationError, Runtime
from tests.support.ports import free_port

PREFIX = "0123456789abcdef"


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A folder in which `ronda up` seems to run; nobody answers there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ronda.parts.set_up_logs", lambda *_: None)
    made = Installation(tmp_path / "data")
    made.create()
    made.announce(
        Runtime(
            pid=os.getpid(),
            base_url="",
            http_port=0,
            mqtt_host="127.0.0.1",
            mqtt_port=free_port(),
            database_url="",
            tracking_uri="",
            artifact_root="",
            smtp_host="",
            smtp_port=0,
            own_mail=False,
            broker="embedded",
            agents=[],
        )
    )
    return made


async def test_one_bridge_a_site_whose_user_goes_with_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stop = asyncio.Event(), asyncio.Event()

    async def told_to_stop() -> None:
        begun.set()
        await stop.wait()

    monkeypatch.setattr("ronda.bridge.until_told_to_stop", told_to_stop)
    outer = f"mqtt://127.0.0.1:{free_port()}"
    async with asyncio.timeout(20):
        first = asyncio.create_task(run_bridge(installation.root, outer, PREFIX, "wokwi"))
        await begun.wait()
        before = dict(Credentials(installation.passwd).hashes())
        assert list(before) == ["gateway/wokwi"]
        with pytest.raises(InstallationError, match="another `ronda bridge`"):
            async with asyncio.timeout(3):
                await run_bridge(installation.root, outer, PREFIX, "wokwi")
        assert Credentials(installation.passwd).hashes() == before
        stop.set()
        await first
    assert Credentials(installation.passwd).users() == []
