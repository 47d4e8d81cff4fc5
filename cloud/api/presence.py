"""Who of the agents is there, as they say themselves on the bus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from broker.bus import Message
from contract.events import AgentState, AgentStatus
from contract.topics import AgentTopic


class Presence:
    """The last retained status of every instance; an instance that vanished was replaced by its Last Will."""

    def __init__(self, tell: Callable[[AgentStatus], None]) -> None:
        self._tell = tell
        self._known: dict[tuple[str, str], AgentStatus] = {}

    def hear(self, message: Message) -> None:
        """Take a status. An empty one clears the entry, as retained messages are cleared."""
        topic = AgentTopic.parse(message.topic)
        if not message.payload:
            self._known.pop((topic.name, topic.instance), None)
            return
        status = msgspec.json.decode(message.payload, type=AgentStatus)
        before = self._known.get((topic.name, topic.instance))
        self._known[topic.name, topic.instance] = status
        # Agents say it again every few seconds; only a change is news.
        if before is None or before.state is not status.state:
            self._tell(status)

    @property
    def online(self) -> int:
        """How many instances are there."""
        return sum(status.state is AgentState.ONLINE for status in self._known.values())

    def all(self) -> list[AgentStatus]:
        """Everybody who ever announced itself, by name."""
        return [self._known[key] for key in sorted(self._known)]

    def missing(self, expected: Iterable[str]) -> list[str]:
        """Those of `expected` of which no instance is online."""
        online = {name for (name, _), status in self._known.items() if status.state is AgentState.ONLINE}
        return [name for name in expected if name not in online]
