"""The bus over aiomqtt: persistent session, manual acknowledgement, reconnecting by itself.

The reference, and what tools use; the agents' own client is `broker.wire`, with the same promises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker.address import MqttAddress
from broker.aiomqtt_connection import Connection, client
from broker.bus import ANY_BROKER, Promises, Will, check_messages
from broker.kept_up import KeptUp
from contract.errors import TransientError

__all__ = ["ANY_BROKER", "MqttAddress", "MqttBus", "Will"]

# Published and not yet acknowledged: deep enough that a broker's group commit (a few ms) never starves it.
_SLICE = 500
_SLICES_AT_ONCE = 4


class MqttBus(KeptUp[Connection]):
    """One party's connection to an MQTT 3.1.1 broker, kept up for as long as the bus is open."""

    def __init__(
        self,
        address: MqttAddress,
        client_id: str,
        *,
        persistent: bool = True,
        will: Will | None = None,
        promises: Promises = ANY_BROKER,
        timeout_s: float = 30.0,
    ) -> None:
        super().__init__(address, client_id, promises=promises, timeout_s=timeout_s)
        self._persistent, self._will = persistent, will
        self._slices = asyncio.Semaphore(_SLICES_AT_ONCE)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish (topic, payload) pairs at QoS 1; returns once the broker has acknowledged them all.

        Raises: TransientError when the broker did not take 500 of them within the time-out; ContractError.
        """
        check_messages(messages)
        for start in range(0, len(messages), _SLICE):
            try:
                async with asyncio.timeout(self._timeout_s), self._slices:
                    await self._publish_all(messages[start : start + _SLICE], retain=retain)
            except TimeoutError:
                raise TransientError(f"the broker at {self._address} did not acknowledge in time") from None

    async def _publish_all(self, messages: Sequence[tuple[str, bytes]], *, retain: bool) -> None:
        left = messages
        while left:
            connection = await self._current()
            left = await connection.publish(left, retain=retain)

    async def _open(self, epoch: int) -> None:
        unconnected = client(self._address, self._client_id, persistent=self._persistent, will=self._will)
        connection = Connection(unconnected, epoch, self._inbox)
        try:
            await connection.open()
            self._taken_up(connection)
            if self._filters:
                await connection.subscribe(list(self._filters))
            connection.settled = True
        except BaseException:
            self._gone()
            connection.abandon()
            raise
