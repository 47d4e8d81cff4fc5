"""What a runner tells about its agent's work, for whoever measures it; an agent itself knows nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

from cloud.agents.agent import Input
from contract.events import Event


class Watch:
    """Hears of one agent's work; this one forgets it.

    What overrides it must neither fail nor wait: it is called between two batches.
    """

    def began(self) -> None:
        """The agent is at work; said again about once a second while it is."""

    def took(self, messages: int) -> None:
        """So many messages were received, and are now the agent's to acknowledge."""

    def handled(self, inputs: Sequence[Input], outputs: Sequence[Event], seconds: float, now_ms: float) -> None:
        """One batch took `seconds`, and was done at `now_ms` (UTC epoch ms)."""

    def published(self, events: Sequence[Event]) -> None:
        """The broker has acknowledged these."""

    def acknowledged(self, messages: int) -> None:
        """So many of those taken are done with."""

    def ended(self) -> None:
        """The agent stopped; what it had not acknowledged comes again."""
