"""What Ronda leans on, and who leans on it: mail server, Redis, models, clocks, crowds, slow listeners, reboots."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from functools import partial

from tests.faults.fault import Fault, Hit
from tests.faults.plant import BEHIND, DEVICES, Plant
from tests.faults.senders import MqttSender

_LASTS_S = (0.5, 2.5)
_CROWD = 2_000
_HOUR_S = 3600.0
# Long enough that an alarm, and so a mail, falls into it.
_MAIL_S = (3.0, 6.0)


async def mail_trouble(plant: Plant, how: str) -> Hit:
    """The mail server misbehaves until it had a mail to do it with."""
    under_way, before = plant.under_way, plant.mail.misbehaved
    plant.mail.misbehave(how)
    await asyncio.sleep(plant.rng.uniform(*_MAIL_S))
    plant.mail.behave()
    return Hit(under_way, f"{plant.mail.misbehaved - before} mails")


async def redis_away(plant: Plant) -> Hit:
    """Redis is killed, and comes back empty."""
    hit = Hit(plant.under_way, "killed")
    plant.redis.kill()
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    await asyncio.to_thread(plant.redis.start)
    return hit


async def redis_frozen(plant: Plant) -> Hit:
    """Redis keeps its connections and answers nothing."""
    hit = Hit(plant.under_way, "frozen")
    plant.redis.freeze()
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    plant.redis.thaw()
    return hit


async def our_clock_jumps(plant: Plant) -> Hit:
    """The clock of one of our processes, or of all, is wrong for a while."""
    part = plant.rng.choice([*plant.processes, "all"])
    ahead_s = plant.rng.choice((-_HOUR_S, -30.0, 30.0, _HOUR_S, 24 * _HOUR_S))
    chosen = list(plant.processes.values()) if part == "all" else [plant.processes[part]]
    hit = Hit(plant.under_way, f"{part} by {ahead_s:+.0f} s")
    for process in chosen:
        process.set_clock(ahead_s)
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    for process in chosen:
        process.set_clock(0.0)
    return hit


async def devices_clock_jumps(plant: Plant) -> Hit:
    """A device's clock is wrong for a while; what it says of an hour from now is refused, and counted."""
    sender = plant.senders[plant.rng.choice(DEVICES)]
    assert isinstance(sender, MqttSender)
    sender.ahead_ms = int(1000 * plant.rng.choice((-24 * _HOUR_S, -_HOUR_S, 2 * _HOUR_S)))
    hit = Hit(plant.under_way, f"{sender.device} by {sender.ahead_ms / 1000:+.0f} s")
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    sender.ahead_ms = 0
    return hit


async def reboot(plant: Plant) -> Hit:
    """Devices lose their power and keep their ring: one boot more is outstanding."""
    able = (*DEVICES, *BEHIND, plant.machine.device)
    chosen = [plant.senders[device] for device in able if plant.rng.random() < 0.6]
    hit = Hit(plant.under_way, f"{len(chosen)} devices")
    for sender in chosen:
        assert isinstance(sender, MqttSender)
        sender.power_up()
    return hit


async def crowd(plant: Plant, at: str) -> Hit:
    """2,000 connections, some with the beginning of a greeting, opened and dropped."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 2 * _CROWD + 1000), most))
    port = plant.mqtt_port if at == "broker" else plant.http_port
    hello = b"\x10\x20\x00\x04MQTT" if at == "broker" else b"GET /healthz HT"
    under_way = plant.under_way
    opened = await asyncio.gather(*(_open(port, hello if plant.rng.random() < 0.5 else b"") for _ in range(_CROWD)))
    writers = [writer for writer in opened if writer is not None]
    await asyncio.sleep(plant.rng.uniform(0.1, 1.0))
    for writer in writers:
        writer.transport.abort()
    return Hit(under_way, f"{len(writers)} connections")


async def _open(port: int, hello: bytes) -> asyncio.StreamWriter | None:
    with contextlib.suppress(OSError, TimeoutError):
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
        writer.write(hello)
        return writer
    return None


async def slow_subscriber(plant: Plant) -> Hit:
    """Somebody subscribes to everything that the API may hear, and reads none of it."""
    under_way = plant.under_way
    user, password = plant.service("web")
    with socket.create_connection(("127.0.0.1", plant.mqtt_port)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(_connect(f"ronda-slow-{plant.rng.getrandbits(32):x}", user, password))
        await asyncio.sleep(0.3)
        line.sendall(_subscribe("ronda/v1/+/+/stored", "ronda/v1/+/+/telemetry", "ronda-chain/v1/validated/+"))
        await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    return Hit(under_way, "nothing read")


def _connect(client_id: str, user: str, password: str) -> bytes:
    """CONNECT with a session that outlives the connection: MQTT 3.1.1, section 3.1."""
    body = _text("MQTT") + bytes([4, 0b1100_0000, 0, 60]) + _text(client_id) + _text(user) + _text(password)
    return _packet(0x10, body)


def _subscribe(*filters: str) -> bytes:
    """SUBSCRIBE at QoS 1: section 3.8."""
    return _packet(0x82, struct.pack("!H", 1) + b"".join(_text(each) + b"\x01" for each in filters))


def _packet(kind: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + bytes(digits) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("!H", len(encoded)) + encoded


_MAIL = {
    "hangs": "hang",
    "drops after DATA": "drop",
    "says 451": "451 4.3.0 try later",
    "says 554": "554 5.7.1 no",
}

SURROUNDINGS = (
    *(Fault(f"mail server {words}", partial(mail_trouble, how=how), alarms=True) for words, how in _MAIL.items()),
    Fault("Redis killed", redis_away),
    Fault("Redis frozen", redis_frozen),
    Fault("our clock jumps", our_clock_jumps, alarms=True),
    Fault("a device's clock jumps", devices_clock_jumps),
    Fault("devices reboot", reboot, alarms=True),
    *(Fault(f"2,000 connections to the {at} dropped", partial(crowd, at=at)) for at in ("broker", "API")),
    Fault("a subscriber that does not read", slow_subscriber),
)
