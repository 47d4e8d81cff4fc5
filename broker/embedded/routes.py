"""Who gets a message: the subscriptions of all clients, asked by topic."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from broker.filters import matches

# Topics whose subscribers are remembered; a fleet speaks on a few topics per device.
_REMEMBERED = 32_768
# Subscribers remembered, over all topics: 20 MB, however many clients ask for everything.
_REMEMBERED_SUBSCRIBERS = 262_144


class Routes:
    """Subscriptions by filter; those without wildcards are found without a search."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, int]] = {}
        self._wild: dict[str, dict[str, int]] = {}
        self._filters: dict[str, dict[str, int]] = {}
        self.subscribers = lru_cache(_REMEMBERED)(self._subscribers)
        self._remembered = 0

    def add(self, client_id: str, wanted: str, qos: int) -> None:
        """Add or change a subscription."""
        self._table(wanted).setdefault(wanted, {})[client_id] = qos
        self._filters.setdefault(client_id, {})[wanted] = qos
        self._forget()

    def remove(self, client_id: str, wanted: str) -> bool:
        """End a subscription; False when there was none."""
        if self._filters.get(client_id, {}).pop(wanted, None) is None:
            return False
        table = self._table(wanted)
        table[wanted].pop(client_id)
        if not table[wanted]:
            del table[wanted]
        self._forget()
        return True

    def remove_all(self, client_id: str) -> None:
        """End all subscriptions of a client."""
        for wanted in list(self._filters.get(client_id, {})):
            self.remove(client_id, wanted)
        self._filters.pop(client_id, None)

    def filters(self, client_id: str) -> Iterable[str]:
        """What a client has subscribed to."""
        return list(self._filters.get(client_id, {}))

    def _subscribers(self, topic: str) -> tuple[tuple[str, int], ...]:
        """(client, granted QoS), once each with the highest QoS [MQTT-3.3.5-1]."""
        found: dict[str, int] = dict(self._exact.get(topic, {}))
        for wanted, clients in self._wild.items():
            if matches(wanted, topic):
                for client_id, qos in clients.items():
                    found[client_id] = max(qos, found.get(client_id, 0))
        if self._remembered + len(found) > _REMEMBERED_SUBSCRIBERS:
            self._forget()
        self._remembered += len(found)
        return tuple(found.items())

    def _forget(self) -> None:
        self.subscribers.cache_clear()
        self._remembered = 0

    def _table(self, wanted: str) -> dict[str, dict[str, int]]:
        return self._wild if "+" in wanted or "#" in wanted else self._exact
