"""Tells of devices that fall silent: beside the detector, with its rights, asking the store every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence

import msgspec

from broker.bus import Message
from broker.mqtt import MqttBus
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.historian import Historian
from cloud.agents.silence import Habit, Heard, Key, habit_of
from cloud.agents.silence_watch import SilenceWatch
from cloud.storage.database import Database
from cloud.storage.silences import LastWord, SilenceStore
from contract.codec import encode_events
from contract.errors import ContractError, TransientError
from contract.events import AgentState, AgentStatus, AnomalyDetectedEvent
from contract.topics import AgentTopic, Channel, DeviceTopic
from ronda.parts import Surroundings, clock_ms, elapsed_ms

log = logging.getLogger("ronda.agents.silence")

LOOK_EVERY_S = 5.0


class StoredSilence:
    """The store, in the words of whoever listens."""

    def __init__(self, database: Database) -> None:
        self._store = SilenceStore(database)

    async def heard(self) -> Mapping[Key, Heard]:
        """The newest reading of every device that is waited for."""
        return {key: _heard(last) for key, last in (await self._store.heard()).items()}

    async def heard_lately(self, site: str, device: str) -> Heard | None:
        """The last that arrived."""
        last = await self._store.heard_lately(site, device)
        return None if last is None else _heard(last)

    async def habit(self, site: str, device: str) -> Habit | None:
        """From the last messages, and the pauses of two weeks."""
        arrivals = await self._store.arrivals(site, device)
        return habit_of(arrivals, await self._store.pauses(site, device, int(clock_ms())))

    async def told(self) -> Sequence[AnomalyDetectedEvent]:
        """The silences that are open."""
        return await self._store.told()

    async def keep(self, events: Sequence[AnomalyDetectedEvent]) -> Sequence[AnomalyDetectedEvent]:
        """With their messages, in one transaction."""
        return await self._store.keep(events, now_ms=int(clock_ms()))

    async def published(self, events: Sequence[AnomalyDetectedEvent]) -> None:
        """These reached the broker; those that did not are published when the detector starts."""
        await self._store.outbox.mark_published([event.id for event in events], now_ms=int(clock_ms()))


async def listen_for_silence(around: Surroundings, database: Database) -> None:
    """For ever; of several at once each finds the same, and it is said once. Raises: RondaError as the broker does."""
    memory = StoredSilence(database)
    watch, ears = SilenceWatch(memory, clock_ms, elapsed_ms), _Ears()
    client_id = f"ronda-silence-{secrets.token_hex(8)}"
    async with MqttBus(around.mqtt(AnomalyDetectionAgent.name), client_id, persistent=False) as bus:
        await bus.subscribe(DeviceTopic.filter(Channel.STATUS), AgentTopic.filter(Historian.name))
        hearing = asyncio.create_task(ears.listen(bus, watch))
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                watch.hearing(able=bus.connected and ears.somebody_stores)
                with contextlib.suppress(TransientError):
                    if events := await watch.look():
                        await bus.publish(encode_events(events))
                        await memory.published(events)
                        _tell(events)
                if hearing.done():
                    hearing.result()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


class _Ears:
    """What the broker retains: who is connected, and whether somebody stores."""

    def __init__(self) -> None:
        self._storing: dict[str, bool] = {}

    @property
    def somebody_stores(self) -> bool:
        """Is a historian there?"""
        return any(self._storing.values())

    async def listen(self, bus: MqttBus, watch: SilenceWatch) -> None:
        """Until cancelled."""
        while True:
            messages = await bus.receive()
            for message in messages:
                self._hear(message, watch)
            await bus.acknowledge(messages)

    def _hear(self, message: Message, watch: SilenceWatch) -> None:
        try:
            topic = DeviceTopic.parse(message.topic)
        except ContractError:
            self._storing[message.topic] = _is_online(message.payload)
        else:
            watch.status((topic.site, topic.device), offline=says_offline(message.payload))


def _is_online(payload: bytes) -> bool:
    try:
        return msgspec.json.decode(payload, type=AgentStatus).state is AgentState.ONLINE
    except msgspec.DecodeError:
        return False


def says_offline(payload: bytes) -> bool:
    """`offline`, or an object whose `state` it is."""
    if payload == b"offline":
        return True
    try:
        said = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(said, dict) and said.get("state") == "offline"


def _heard(last: LastWord) -> Heard:
    return Heard(last.received_at_ms, last.measured_at_ms, last.boot, last.seq)


def _tell(events: Sequence[AnomalyDetectedEvent]) -> None:
    for event in events:
        fields = {"asset": f"{event.site}/{event.device}", "anomaly_id": event.anomaly_id, "kind": event.kind}
        log.warning("silence.%s", event.phase, extra=fields)
