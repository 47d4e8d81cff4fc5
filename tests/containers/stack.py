"""A stack of `docker-compose.yml` of its own: its project, ports and secrets are nobody else's."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = "ronda-proof"
# Everything but Prometheus and Grafana, which are not to be had where no registry can be reached.
PROFILES = ("demo",)
_TIMEOUT_S = 900.0
_LOOK_S = 1.0


class CommandError(AssertionError):
    """A command that failed, with its last words."""


class Stack:
    """Runs `docker compose` on the project."""

    def __init__(self, secrets: Path, http_port: int, mqtts_port: int) -> None:
        self.secrets, self.http_port, self.mqtts_port = secrets, http_port, mqtts_port
        self._environment = {
            # Nothing of this user's own settings.
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "RONDA_SECRETS": str(secrets),
            "RONDA_HTTP_PORT": str(http_port),
            "RONDA_MQTTS_PORT": str(mqtts_port),
        }

    async def compose(self, *arguments: str, profiles: Sequence[str] = PROFILES) -> str:
        """The standard output of one `docker compose` command. Raises: CommandError."""
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        settings = ["--env-file", os.devnull, "--project-name", PROJECT, "--project-directory", str(ROOT)]
        return await run("docker", "compose", *settings, *chosen, *arguments, environment=self._environment)

    async def inside(self, service: str, *command: str) -> str:
        """The output of a command in a running container."""
        return await self.compose("exec", "-T", service, *command)

    async def tools(self, *command: str, environment: Mapping[str, str] | None = None, entrypoint: str = "") -> str:
        """The output of a `ronda` command in a container that sees the whole stack."""
        given = [word for name, value in (environment or {}).items() for word in ("-e", f"{name}={value}")]
        instead = ["--entrypoint", entrypoint] if entrypoint else []
        words = ["run", "--rm", "-T", "--no-deps", *given, *instead, "tools", *command]
        return await self.compose(*words, profiles=("tools",))

    async def sql(self, query: str, database: str = "ronda") -> list[list[str]]:
        """The rows of a query, asked in the database's own container."""
        told = await self.inside("postgres", "psql", "-U", "ronda", "-d", database, "-AtF", "\t", "-c", query)
        return [line.split("\t") for line in told.splitlines()]

    async def states(self) -> dict[str, str]:
        """Service → its health or, where it has none, its state."""
        told = await self.compose("ps", "--all", "--format", "json")
        rows = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        return {row["Service"]: row["Health"] or f"{row['State']} ({row['ExitCode']})" for row in rows}

    async def until_healthy(self, timeout_s: float = 180.0) -> None:
        """Wait until everything that runs is healthy and what ran once ended well. Raises: CommandError."""
        wrong: dict[str, str] = {}
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    good = {"healthy", "exited (0)"}
                    wrong = {name: state for name, state in (await self.states()).items() if state not in good}
                    if not wrong:
                        return
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise CommandError(f"not healthy after {timeout_s:.0f} s: {wrong}") from None

    def secret(self, name: str) -> str:
        """One of the stack's secrets."""
        return (self.secrets / name).read_text(encoding="utf-8")


async def docker_runs() -> bool:
    """Is there a Docker daemon that we may ask, and its compose plug-in?"""
    if shutil.which("docker") is None:
        return False
    try:
        await run("docker", "info", "--format", "{{.ServerVersion}}")
        await run("docker", "compose", "version")
    except CommandError:
        return False
    return True


async def run(*command: str, environment: Mapping[str, str] | None = None, timeout_s: float = _TIMEOUT_S) -> str:
    """The standard output. Raises: CommandError with the last lines of both outputs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandError(f"{' '.join(command[:4])} … did not end within {timeout_s:.0f} s") from None
    if process.returncode:
        last = "\n".join([*output.decode().splitlines()[-10:], *errors.decode().splitlines()[-25:]])
        raise CommandError(f"{' '.join(command[:2])} … {command[-1]} ended with {process.returncode}:\n{last}")
    return output.decode()
