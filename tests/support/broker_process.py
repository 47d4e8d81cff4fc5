"""The embedded broker as a process of its own, for tests that kill it: `python -m tests.support.broker_process`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from broker.credentials import Credentials
from broker.embedded import EmbeddedBroker, Limits, QueueSpec
from broker.listeners import Listener, TlsFiles
from contract.access import Party

_START_TIMEOUT_S = 30.0
_ROOT = Path(__file__).resolve().parents[2]


class Setting(msgspec.Struct):
    """What the process is told, as one JSON argument."""

    folder: str
    port: int
    parties: list[Party]
    queues: dict[str, QueueSpec]
    limits: Limits
    # With a port: encrypted there too, with the files (certificate, key).
    tls_port: int = 0
    tls: tuple[str, str] = ("", "")


class BrokerProcess:
    """Starts, stops and kills the broker's process."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """While it runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.broker_process",
            msgspec.json.encode(self._setting).decode(),
            cwd=_ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_START_TIMEOUT_S):
            assert await self._process.stdout.readline() == b"listening\n"

    async def stop(self) -> None:
        """Let it end cleanly."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Kill -9."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            os.kill(process.pid, how)
            await process.wait()


async def _serve(setting: Setting) -> None:
    folder = Path(setting.folder)
    broker = EmbeddedBroker(
        folder / "broker",
        "127.0.0.1",
        setting.port,
        Credentials(folder / "broker" / "passwd"),
        setting.parties,
        setting.queues,
        further=[Listener("127.0.0.1", setting.tls_port, TlsFiles(*map(Path, setting.tls)))]
        if setting.tls_port
        else [],
        limits=setting.limits,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await broker.start()
    print("listening", flush=True)  # what `start` waits for
    await ended.wait()
    await broker.stop()


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.argv[1], type=Setting)))
