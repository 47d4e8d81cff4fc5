"""How full the queues behind the door are, as the broker tells: a door that keeps order lets nobody in who can wait."""

from __future__ import annotations

import logging

from broker.bus import Message
from broker.fullness import Fullness
from broker.sys_tree import heard

log = logging.getLogger("ronda.api.pressure")


class Pressure:
    """The last word of the broker. One that says nothing of its queues is never behind."""

    def __init__(self, max_queued: int) -> None:
        """`max_queued`: messages that Mosquitto keeps for one absent subscriber before it drops."""
        self._max_queued = max_queued
        self._fullness = Fullness()

    @property
    def behind(self) -> list[str]:
        """Each queue that is too full to take more from who can wait, with how many there are and may be."""
        return self._fullness.behind

    def hear(self, message: Message) -> None:
        """Take the broker's word."""
        before = self.behind
        self._fullness.look(heard(message.topic, message.payload, max_queued=self._max_queued))
        if bool(self.behind) is not bool(before):
            log.warning("chain.behind" if self.behind else "chain.caught_up", extra={"queues": self.behind or before})
