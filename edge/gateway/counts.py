"""What the gateway has done since its outbox was made, and the latest messages that were no readings."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from edge.gateway.rows import Refusal

# For a person to look at; more would be a copy of a device that is out of order.
_MOST_REFUSED = 1000
_MOST_BYTES = 4096
REFUSED = "refused:"


class Counts:
    """Totals by name, kept over restarts; written with the transaction in which they grow."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.load()

    def load(self) -> None:
        """As the file says."""
        self.totals: Counter[str] = Counter(dict(self._connection.execute("SELECT name, count FROM counts")))
        self._written = Counter(self.totals)

    def add(self, name: str, count: int) -> None:
        """Count; on disk with the next `save`."""
        self.totals[name] += count

    def save(self) -> None:
        """Write what grew, within a transaction."""
        grown = [(name, count) for name, count in self.totals.items() if count != self._written[name]]
        self._connection.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", grown)
        self._written = Counter(self.totals)

    def refuse(self, refused: Sequence[Refusal], now_ms: int) -> None:
        """Keep the latest, cut to what fits a page, and count all by reason."""
        for each in refused:
            self.add(REFUSED + each.reason, 1)
        latest = refused[-_MOST_REFUSED:]
        self._connection.executemany(
            "INSERT INTO refused (at_ms, topic, reason, detail, payload) VALUES (?, ?, ?, ?, ?)",
            [(now_ms, each.topic, each.reason, each.detail, each.payload[:_MOST_BYTES]) for each in latest],
        )
        if latest:
            self._connection.execute(
                "DELETE FROM refused WHERE n <= (SELECT MAX(n) FROM refused) - ?", (_MOST_REFUSED,)
            )
