"""Where a part can be made to die: the named steps of its protocol, wrapped from outside.

A wrapped step costs one look at a file. Once that file names the seam, its n-th pass ends the process with kill -9,
after a line that says what was under way.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import json
import os
import signal
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

# Turns of the event loop after which a publication is in the socket and its acknowledgement is not yet read.
_TURNS = 3
# What agents say of themselves is no work.
_PRESENCE = "ronda-chain/v1/agent/"


class When(StrEnum):
    """On which side of the step, or in the middle of it."""

    BEFORE = "before"
    UNDER_WAY = "under way"
    AFTER = "after"


class Seam(NamedTuple):
    """One place to die: `target` is `module:name` or `module:Class.name`."""

    part: str
    name: str
    target: str
    when: When


# The agents' bus has a line to hear on and a line to speak on; every line is one of these.
_PUBLISH = "broker.two_lines:TwoLines.publish"
_ACKNOWLEDGE = "broker.two_lines:TwoLines.acknowledge"
_PUBLISH_ON_ONE_LINE = "broker.mqtt:MqttBus.publish"


def _on_the_bus(part: str) -> list[Seam]:
    return [
        Seam(part, "before publishing", _PUBLISH, When.BEFORE),
        Seam(part, "between publish and PUBACK", _PUBLISH, When.UNDER_WAY),
        Seam(part, "between PUBACK and acknowledging its input", _ACKNOWLEDGE, When.BEFORE),
        Seam(part, "after acknowledging its input", _ACKNOWLEDGE, When.AFTER),
    ]


SEAMS = (
    *_on_the_bus("acquisition"),
    *_on_the_bus("validation"),
    Seam("historian", "before its transaction", "cloud.storage.readings:ReadingStore.store", When.BEFORE),
    Seam("historian", "between COPY and the count", "cloud.storage.ingest_sql:insert_readings", When.AFTER),
    Seam("historian", "right before its commit", "cloud.storage.ingest_sql:account", When.AFTER),
    Seam("historian", "between commit and watermark", "cloud.storage.readings:ReadingStore.store", When.AFTER),
    Seam("historian", "between watermark and PUBACK", _PUBLISH, When.UNDER_WAY),
    Seam("historian", "between PUBACK and acknowledging its input", _ACKNOWLEDGE, When.BEFORE),
    Seam("anomaly-detection", "before its transaction", "cloud.storage.anomalies:AnomalyStore.apply", When.BEFORE),
    Seam("anomaly-detection", "within its transaction", "cloud.storage.anomalies:_write", When.AFTER),
    Seam("anomaly-detection", "between commit and publish", "cloud.storage.anomalies:AnomalyStore.apply", When.AFTER),
    Seam("anomaly-detection", "between publish and PUBACK", _PUBLISH, When.UNDER_WAY),
    Seam("anomaly-detection", "between PUBACK and the outbox's mark", "cloud.storage.outbox:Outbox.mark_published",
         When.BEFORE),
    Seam("anomaly-detection", "between PUBACK and acknowledging its input", _ACKNOWLEDGE, When.BEFORE),
    Seam("notification", "before its mail", "cloud.notifications.email:Email.send", When.BEFORE),
    Seam("notification", "between the server's 250 and its commit", "cloud.notifications.email:Email.send",
         When.AFTER),
    Seam("notification", "between commit and publish", "cloud.storage.notifications:NotificationStore.record",
         When.AFTER),
    Seam("notification", "between publish and PUBACK", _PUBLISH, When.UNDER_WAY),
    Seam("notification", "between PUBACK and acknowledging its input", _ACKNOWLEDGE, When.BEFORE),
    Seam("api", "before publishing", "cloud.api.ingestion:Ingestion.publish", When.BEFORE),
    Seam("api", "between publish and PUBACK", _PUBLISH_ON_ONE_LINE, When.UNDER_WAY),
    Seam("api", "between PUBACK and stored", "cloud.api.ingestion:Ingestion.publish", When.AFTER),
    Seam("gateway", "before its outbox's commit", "edge.gateway.outbox:Outbox.keep", When.BEFORE),
    Seam("gateway", "between its outbox's commit and acknowledging", "edge.gateway.outbox:Outbox.keep", When.AFTER),
    Seam("gateway", "with taken readings in its hand", "edge.gateway.outbox:Outbox.take", When.AFTER),
    Seam("gateway", "between publish and PUBACK", _PUBLISH_ON_ONE_LINE, When.UNDER_WAY),
    Seam("gateway", "before deleting what is stored", "edge.gateway.outbox:Outbox.free", When.BEFORE),
    Seam("gateway", "after deleting what is stored", "edge.gateway.outbox:Outbox.free", When.AFTER),
    Seam("broker", "before its log's commit", "broker.embedded.log:Log._write", When.BEFORE),
    Seam("broker", "between its log's commit and PUBACK", "broker.embedded.log:Log._write", When.AFTER),
)  # fmt: skip


class Control:
    """What the tests tell a part: a folder with the seam that is armed, and what died where."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed.json"
        self.deaths = folder / "deaths.jsonl"
        self._seen_ns = 0
        self._order: dict[str, Any] = {}

    def arm(self, seam: Seam, nth: int) -> None:
        """Die at the n-th pass from now on."""
        fresh = self._armed.with_suffix(".new")
        fresh.write_text(json.dumps({"target": seam.target, "when": seam.when, "name": seam.name, "left": nth}))
        fresh.replace(self._armed)

    def disarm(self) -> None:
        """Die nowhere."""
        self._armed.unlink(missing_ok=True)

    def passed(self, target: str, when: When, work: str) -> None:
        """A step is about to be taken, or was: end here when it is the one."""
        try:
            changed_ns = self._armed.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed_ns != self._seen_ns:
            self._seen_ns, self._order = changed_ns, json.loads(self._armed.read_text())
        if (self._order["target"], self._order["when"]) != (target, when):
            return
        self._order["left"] -= 1
        if self._order["left"] == 0:
            self._die(work)

    @property
    def armed(self) -> bool:
        """Is anything?"""
        return self._armed.exists()

    def _die(self, work: str) -> None:
        self._armed.unlink(missing_ok=True)
        line = json.dumps({"seam": self._order["name"], "work": work, "pid": os.getpid()}) + "\n"
        with self.deaths.open("a") as file:
            file.write(line)
        os.kill(os.getpid(), signal.SIGKILL)


def wrap(part: str, control: Control) -> None:
    """Put the wrappers around every step of `part` that has a seam."""
    for target in dict.fromkeys(seam.target for seam in SEAMS if seam.part == part):
        module, _, path = target.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, _wrapped(getattr(owner, name), target, control))


def _wrapped(step: Callable[..., Any], target: str, control: Control) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(step):
        return _wrapped_async(step, target, control)

    @functools.wraps(step)
    def watched(*arguments: Any, **options: Any) -> Any:
        work = work_in(arguments)
        if work:
            control.passed(target, When.BEFORE, work)
        result = step(*arguments, **options)
        if work:
            control.passed(target, When.AFTER, work)
        return result

    return watched


def _wrapped_async(step: Callable[..., Any], target: str, control: Control) -> Callable[..., Any]:
    @functools.wraps(step)
    async def watched(*arguments: Any, **options: Any) -> Any:
        work = work_in(arguments)
        if not work or not control.armed:
            return await step(*arguments, **options)
        control.passed(target, When.BEFORE, work)
        task = asyncio.ensure_future(step(*arguments, **options))
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if not task.done():
                control.passed(target, When.UNDER_WAY, work)
            result = await task
        finally:
            task.cancel()
        control.passed(target, When.AFTER, work)
        return result

    return watched


def work_in(arguments: Sequence[Any]) -> str:
    """What a step has in its hands, in words; empty when that is nothing."""
    lists = [each for each in arguments[1:] if isinstance(each, list | tuple | dict)]
    if not lists:
        return "1 of its kind"
    lists = [each for each in lists if not _is_presence(each)]
    sizes = [_size(each) for each in lists]
    return " + ".join(f"{size} {kind}" for size, kind in sizes if size)


def _is_presence(items: Any) -> bool:
    first = next(iter(items), None)
    return isinstance(first, tuple) and isinstance(first[0], str) and first[0].startswith(_PRESENCE)


def _size(items: Any) -> tuple[int, str]:
    kinds = {type(item).__name__ for item in items}
    if kinds and all(hasattr(item, "seq") and hasattr(item.seq, "__len__") for item in items):
        return sum(len(item.seq) for item in items), "readings"
    if kinds == {"tuple"}:
        return len(items), "messages"
    return len(items), "/".join(sorted(kinds)) or "nothing"
