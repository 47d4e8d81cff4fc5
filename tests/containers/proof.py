"""`make compose-test`: the images built twice, the stack started, used, hurt, backed up, restored and taken away.

Says what it does with times, keeps that in `docs/evidence/compose-test.txt`, and ends with 1 when something failed.
Where no Docker daemon can run it says so and ends with 0, with REQUIRE_DOCKER=1 with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from ronda.guards import free_port
from ronda.stack.secrets import make_secrets
from tests.containers.stack import PROFILES, ROOT, Stack, docker_runs, run
from tests.containers.steps import Proof
from tests.containers.transcript import Transcript

EVIDENCE = ROOT / "docs" / "evidence" / "compose-test.txt"
_STAND_IN = "redis:7"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm", action="store_true", help="let the first build use what was built before")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_proved(warm=arguments.warm)))


async def _proved(*, warm: bool) -> int:
    if not await docker_runs():
        required = os.environ.get("REQUIRE_DOCKER") == "1"
        print("no Docker daemon with the compose plug-in can be asked here: nothing was proved")
        print("it is required (REQUIRE_DOCKER=1)" if required else "set REQUIRE_DOCKER=1 to make this a failure")
        return int(required)
    transcript = Transcript()
    await _introduce(transcript)
    folder = Path(tempfile.mkdtemp(prefix="ronda-proof-"))
    stack = Stack(folder, free_port("127.0.0.1"), free_port("127.0.0.1"))
    try:
        make_secrets(folder)
        await _build(stack, transcript, warm=warm)
        failed = await _run(Proof(stack, transcript).steps(), transcript)
        if failed:
            await _tell_why(stack, transcript)
    finally:
        with contextlib.suppress(Exception):
            await stack.compose("down", "--volumes", "--remove-orphans", profiles=(*PROFILES, "tools"))
        shutil.rmtree(folder, ignore_errors=True)
    left = (
        await run("docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=ronda-proof")
    ).split()
    transcript.head("")
    transcript.say(f"down, volumes removed; {len(left)} containers left")
    transcript.say(f"FAILED: {failed}" if failed else "PASSED: every step")
    transcript.keep(EVIDENCE)
    return int(bool(failed or left))


async def _introduce(transcript: Transcript) -> None:
    """When, on what, and with whose images."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    engine = (await run("docker", "version", "--format", "{{.Server.Version}}")).strip()
    plugin = (await run("docker", "compose", "version", "--short")).strip()
    transcript.head(f"make compose-test, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    transcript.head(
        f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GB; Docker {engine}, compose {plugin}"
    )
    label = '{{index .Config.Labels "stand-in"}}'
    with contextlib.suppress(AssertionError):
        if (await run("docker", "image", "inspect", "--format", label, _STAND_IN)).strip() == "1":
            transcript.head(
                "No registry could be reached: under the public images' names stand images of the same programs, made\n"
                "of Debian's and PyPI's packages. Prometheus and Grafana are not among them, and were not started."
            )


async def _build(stack: Stack, transcript: Transcript, *, warm: bool) -> None:
    fresh = [] if warm else ["--no-cache"]
    with transcript.step(
        "the images of ours are built" + (" (from what was built before)" if warm else " from nothing")
    ):
        await stack.compose("build", *fresh)
    with transcript.step("they are built again, from the cache"):
        began = time.monotonic()
        await stack.compose("build")
        assert time.monotonic() - began < 60, "the second build was none from the cache"
    sizes = await run(
        "docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}", "--filter", "reference=ronda-*"
    )
    transcript.say(f"  {', '.join(sorted(sizes.split(chr(10))[:-1]))}")


async def _run(steps: list[tuple[str, Callable[[], Awaitable[None]]]], transcript: Transcript) -> str:
    """The title of the step that failed, or nothing."""
    for title, step in steps:
        try:
            with transcript.step(title):
                await step()
        except Exception:
            transcript.head(traceback.format_exc(limit=-3))
            return title
    return ""


async def _tell_why(stack: Stack, transcript: Transcript) -> None:
    """The states, and the last words of those that are not well."""
    with contextlib.suppress(Exception):
        states = await stack.states()
        for service, state in states.items():
            transcript.head(f"{service}: {state}")
            if state not in ("healthy", "exited (0)"):
                transcript.head(await stack.compose("logs", "--no-color", "--no-log-prefix", "--tail", "15", service))


if __name__ == "__main__":
    main()
