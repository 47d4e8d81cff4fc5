"""Facts from the broker: does it let us in, who is online, and does what passes by reach the store?"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import uuid
from collections.abc import AsyncIterator

import msgspec
from cryptography import x509

from broker.bus import Message
from broker.credentials import SERVICE_PREFIX
from broker.listeners import reached_at
from broker.mqtt import MqttBus
from broker.tls import client_context
from cloud.storage.database import Database
from cloud.storage.readings import ReadingStore
from contract.codec import decode_events
from contract.errors import ContractError, RondaError
from contract.events import AgentStatus, ValidatedDataEvent
from contract.topics import AgentTopic, ChainTopic, Stage
from ronda.doctor.facts import Broker, Door, Probe
from ronda.parts import Surroundings
from ronda.tls.listening import own_trust

_CONNECT_S = 10.0
# Retained statuses come at once; a fleet at one reading a second is heard within two.
_HEARD_S = 2.5
# A watermark a second is the chain's own pace; ten times that is no pace.
_STORED_S = 10.0
_LOOK_S = 0.2
_HANDSHAKE_S = 5.0


async def look_at_broker(around: Surroundings) -> tuple[Broker, Probe | None]:
    """What it says within seconds, and how long a reading that was heard just then took into the store."""
    address = around.mqtt("web")
    where = str(around.broker())
    ends_ms = await _certificate_end(around)
    bus = MqttBus(address, f"{SERVICE_PREFIX}doctor-{uuid.uuid4().hex[:16]}", persistent=False)
    try:
        async with asyncio.timeout(_CONNECT_S + _HEARD_S), bus:
            await bus.subscribe(AgentTopic.filter(), ChainTopic.filter(Stage.VALIDATED))
            heard = [message async for message in _heard(bus)]
    except (RondaError, TimeoutError, OSError) as error:
        said = str(error) or f"no answer within {_CONNECT_S:.0f} s"
        return Broker(door=Door(where=where, error=said), certificate_ends_ms=ends_ms), None
    broker = Broker(door=Door(where=where), certificate_ends_ms=ends_ms, statuses=_statuses(heard))
    return broker, await _probe(around.runtime.database_url, _newest(heard))


async def _heard(bus: MqttBus) -> AsyncIterator[Message]:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HEARD_S):
            while True:
                messages = await bus.receive()
                await bus.acknowledge(messages)
                for message in messages:
                    yield message


def _statuses(heard: list[Message]) -> list[AgentStatus]:
    """The last of each instance; an empty one clears it."""
    known: dict[str, AgentStatus | None] = {}
    for message in heard:
        with contextlib.suppress(ContractError, msgspec.DecodeError):
            AgentTopic.parse(message.topic)
            payload = message.payload
            known[message.topic] = msgspec.json.decode(payload, type=AgentStatus) if payload else None
    return [status for status in known.values() if status is not None]


def _newest(heard: list[Message]) -> ValidatedDataEvent | None:
    for message in reversed(heard):
        with contextlib.suppress(ContractError):
            ChainTopic.parse(message.topic)
            return decode_events(ValidatedDataEvent, message.payload)[-1]
    return None


async def _probe(database_url: str, block: ValidatedDataEvent | None) -> Probe | None:
    """None too where the store does not answer: that is a finding of its own."""
    if block is None:
        return None
    began, database = time.monotonic(), Database(database_url)
    try:
        await database.open()
        store, stored = ReadingStore(database), False
        while not stored and time.monotonic() - began < _STORED_S:
            stored = await store.find(block.site, block.device, block.boot, block.seq[-1]) is not None
            await asyncio.sleep(0 if stored else _LOOK_S)
    except RondaError:
        return None
    finally:
        await database.close()
    return Probe(reading=block.correlation_id, waited_ms=(time.monotonic() - began) * 1000, stored=stored)


async def _certificate_end(around: Surroundings) -> int | None:
    """When the certificate that devices are shown ends; None where they are shown none, or nobody answers."""
    if (there := _encrypted(around)) is None:
        return None
    host, port, context = there
    # An expired one is looked at, too.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_HANDSHAKE_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return None
    spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = spoken.getpeercert(binary_form=True)
    writer.close()
    return int(x509.load_der_x509_certificate(shown or b"").not_valid_after_utc.timestamp() * 1000)


def _encrypted(around: Surroundings) -> tuple[str, int, ssl.SSLContext] | None:
    address = around.broker()
    if address.tls:
        return address.host, address.port, client_context(None)
    if not around.runtime.mqtt_url and own_trust(around.runtime):
        return reached_at(around.runtime.listen), around.runtime.mqtts_port, client_context(None)
    return None
