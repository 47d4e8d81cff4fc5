"""The device at work: measures every second, keeps what it measured, and tells Ronda."""

import asyncio
import binascii
import gc
import json
import os
import time

import machine
import onewire

import contract
from lib.config import Settings, load
from lib.drivers.ds18b20 import Ds18b20
from lib.drivers.mpu6050 import Mpu6050
from lib.manifest import identity
from lib.mqtt import Client
from lib.net import Network, now_ms
from lib.sensors import Thermometer, Vibration
from lib.serial import say
from lib.store import Ring
from lib.uplink import Uplink

METRICS = (
    "vibration_rms_g",
    "vibration_x_rms_g",
    "vibration_y_rms_g",
    "vibration_z_rms_g",
    "vibration_peak_g",
    "vibration_crest",
    "temperature_c",
)
# Of these on the serial line: what fits a terminal.
SHOWN = ("vibration_rms_g", "vibration_peak_g", "vibration_crest", "temperature_c")
# The longest that anything may block: a name server that does not answer takes 14 s on the chip.
WATCHDOG_MS = 30000
# A loop that has not come round for so long hangs, though the others run.
_STUCK_MS = 20000
# After this long at work the start was a good one.
_HEALTHY_S = 60
# Between two attempts to connect: half a second at first, half a minute at most, spread so that a thousand devices do
# not come back in the same second.
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 500, 30000


def run(room, on_healthy):
    """Work until the power goes; `room` is for a second of samples. Raises: ConfigError, before all else."""
    config = load("config.json")
    network = Network(config["wifi"]["ssid"], config["wifi"].get("password", ""), config.get("ntp", "pool.ntp.org"))
    network.wake()
    asyncio.run(Device(config, network, room, on_healthy).run())


def pause_ms(attempt, chance):
    """How long to wait before connecting again; `chance` is 0 to 255."""
    longest = min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS << min(attempt, 6))
    return longest // 2 + longest * chance // 512


class Device:
    """Everything that runs beside each other, and what they share."""

    def __init__(self, config, network, room, on_healthy):
        self._config, self._network, self._on_healthy = config, network, on_healthy
        self._name = "%s/%s" % (config["site"], config["device"])
        self._settings = Settings("settings.json")
        self.boot = binascii.hexlify(os.urandom(8)).decode()
        self._firmware, self._altered = identity()
        self._ring = Ring("ring", self.boot, METRICS, self._settings["ring_readings"])
        self._client = self._make_client(config["mqtt"])
        self._uplink = Uplink(self._ring, self._client, self._topic(contract.TELEMETRY))
        pins = config.get("pins", {})
        scl, sda = machine.Pin(pins.get("scl", 22)), machine.Pin(pins.get("sda", 21))
        self._vibration = Vibration(Mpu6050(machine.I2C(0, scl=scl, sda=sda, freq=400000)), room)
        self._thermometer = Thermometer(Ds18b20(onewire.OneWire(machine.Pin(pins.get("ds18b20", 4)))))
        self._desired = []
        self._asked = asyncio.Event()
        self._connections = 0
        self._measured_at = time.ticks_ms()
        self._uptime_s = 0

    async def run(self):
        """All of it, until one part fails."""
        altered = ", altered: " + " ".join(self._altered) if self._altered else ""
        say("device.started", "%s boot %s firmware %s%s" % (self._name, self.boot, self._firmware, altered))
        say("ring.found", "%d readings of earlier power-ups" % len(self._ring))
        try:
            await together(self._measure(), self._thermometer.run(), self._talk(), self._watch())
        finally:
            self._ring.spill()

    async def _measure(self):
        pause = True
        while True:
            vibration = await self._vibration.second(self._settings["accel_range_g"], pause)
            self._keep(vibration)
            pause = self._settings["reading_every_s"] > 1
            for _ in range(self._settings["reading_every_s"] - 1):
                self._measured_at = time.ticks_ms()
                await asyncio.sleep_ms(1000)

    def _keep(self, vibration):
        self._measured_at = time.ticks_ms()
        # Every second by itself: what is left for the moment of need is in pieces by then.
        gc.collect()
        values = (vibration or (None,) * 6) + (self._thermometer.celsius,)
        at_ms = now_ms()
        # Without a time a reading cannot be placed, and without a value there is none.
        if at_ms is None or all(value is None for value in values):
            return
        seq = self._ring.hold(at_ms, values)
        shown = [
            "%s=%.4g" % (name, value) for name, value in zip(METRICS, values) if name in SHOWN and value is not None
        ]
        say("reading.kept", "%d %s" % (seq, " ".join(shown)))
        self._uplink.wake()

    async def _watch(self):
        """Keep the watchdog quiet while the measuring goes on; it resets a chip that hangs anywhere."""
        watchdog = machine.WDT(timeout=WATCHDOG_MS)
        while True:
            if time.ticks_diff(time.ticks_ms(), self._measured_at) < _STUCK_MS:
                watchdog.feed()
            if self._uptime_s == _HEALTHY_S:
                self._on_healthy()
            await asyncio.sleep_ms(1000)
            # Counted, since the chip's milliseconds begin again after twelve days.
            self._uptime_s += 1

    async def _talk(self):
        """Be connected; whatever ends a connection, begin another one."""
        attempt = 0
        while True:
            before = self._connections
            try:
                await self._network.join()
                await self._client.open(self._topic(contract.STATUS), json.dumps(self._state("offline")))
                say("mqtt.connected", "%s:%d" % self._client.address)
                await together(self._client.listen(self._hear), self._client.ping(), self._converse())
            except Exception as error:
                # A message from outside must not stop a device, however broken it is.
                say("mqtt.lost", "%s: %s" % (type(error).__name__, error))
            self._client.cut()
            attempt = 0 if self._connections > before else attempt + 1
            await asyncio.sleep_ms(pause_ms(attempt, os.urandom(1)[0]))

    async def _converse(self):
        topics = [self._topic(contract.STORED), self._topic(contract.CONFIG_DESIRED)]
        await self._client.subscribe(topics)
        self._connections += 1
        await self._report({"config": self._settings.values})
        await together(self._uplink.run(), self._beat(), self._configure())

    async def _beat(self):
        """Say that we are there, retained: it also repairs a will that a short cut left behind."""
        while True:
            self._network.keep_time()
            await self._client.publish(self._topic(contract.STATUS), [json.dumps(self._status())], retain=True)
            waited_s = 0
            while waited_s < self._settings["status_every_s"]:
                await asyncio.sleep_ms(1000)
                waited_s += 1

    async def _hear(self, topic, payload):
        if topic == self._topic(contract.STORED):
            self._uplink.stored(payload)
        elif topic == self._topic(contract.CONFIG_DESIRED) and payload:
            # Answered elsewhere: whoever listens must not wait for an acknowledgement. Only the newest one counts.
            self._desired = [payload]
            self._asked.set()

    async def _configure(self):
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._desired:
                answer = self._settings.change(self._desired.pop())
                self._ring.capacity = self._settings["ring_readings"]
                say("config.refused" if "refused" in answer else "config.accepted", json.dumps(answer))
                await self._report(answer)

    async def _report(self, answer):
        await self._client.publish(self._topic(contract.CONFIG_REPORTED), [json.dumps(answer)], retain=True)

    def _status(self):
        gc.collect()
        status = self._state("online")
        status.update(
            {
                "firmware": self._firmware,
                "altered": self._altered,
                "uptime_s": self._uptime_s,
                "heap_free": gc.mem_free(),
                "rssi_dbm": self._network.rssi(),
                "clock_set": now_ms() is not None,
                "connections": self._connections,
                "readings": self._ring.next_seq,
                "held": len(self._ring),
                "dropped": self._ring.dropped,
                "overruns": self._vibration.overruns,
                "sensor_failures": self._vibration.failures + self._thermometer.failures,
            }
        )
        return status

    def _state(self, state):
        return {"state": state, "boot": self.boot}

    def _make_client(self, mqtt):
        user = self._name if mqtt.get("password") else None
        return Client(
            mqtt["host"],
            mqtt.get("port", 1883),
            self._name.replace("/", "-") + "-" + self.boot[:4],
            user,
            mqtt.get("password"),
            mqtt.get("keepalive_s", 30),
        )

    def _topic(self, template):
        prefix = self._config["mqtt"].get("prefix")
        return (prefix + "/" if prefix else "") + template % (self._config["site"], self._config["device"])


async def together(*parts):
    """Run them beside each other until one ends; the others are stopped, and its failure is ours."""
    ended, failures = asyncio.Event(), []

    async def watched(part):
        try:
            await part
        except Exception as error:
            failures.append(error)
        finally:
            ended.set()

    tasks = [asyncio.create_task(watched(part)) for part in parts]
    try:
        await ended.wait()
    finally:
        for task in tasks:
            task.cancel()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            pass
    if failures:
        raise failures[0]
