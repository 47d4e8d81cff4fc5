"""What hangs on the machine: a second of vibration at a time, and the temperature beside it."""

import asyncio
import time

from lib.drivers.ds18b20 import CONVERSION_MS
from lib.features import SAMPLE_BYTES, features
from lib.serial import say

# The FIFO holds 170 samples; emptied four times as often as it must be.
_EMPTY_EVERY_MS = 40
# A window takes one second; after this long the sensor is not sampling.
_WINDOW_WITHIN_MS = 3000
_ASK_AGAIN_MS = 1000


class Vibration:
    """An accelerometer that may be pulled out and put back; `overruns` are windows that lost samples and began anew.

    `room` holds a window: 6,000 bytes are 1,000 samples, a second by the sensor's own clock.
    """

    def __init__(self, sensor, room):
        self._sensor = sensor
        self._room = memoryview(room)
        self._range_g = None
        self.overruns = 0
        self.failures = 0

    async def second(self, range_g, fresh):
        """The features of the next window; `fresh`: not those that waited. None while it does not answer."""
        try:
            if self._range_g != range_g:
                self._sensor.start(range_g)
                self._range_g = range_g
                say("sensor.started", "MPU6050, +-%d g, 1 kHz" % range_g)
            elif fresh:
                self._sensor.clear()
            await self._fill()
            return features(self._room, len(self._room) // SAMPLE_BYTES, self._sensor.lsb_per_g)
        except OSError as error:
            if self.failures == 0 or self._range_g is not None:
                say("sensor.silent", "MPU6050: %s" % error)
            self._range_g = None
            self.failures += 1
            await asyncio.sleep_ms(_ASK_AGAIN_MS)
            return None

    async def _fill(self):
        filled, began = 0, time.ticks_ms()
        while True:
            size = self._sensor.read_into(self._room[filled:])
            if size is None:
                self.overruns += 1
                filled = 0
            else:
                filled += size
            if filled == len(self._room):
                return
            if time.ticks_diff(time.ticks_ms(), began) > _WINDOW_WITHIN_MS:
                raise OSError("its FIFO stands still")
            await asyncio.sleep_ms(_EMPTY_EVERY_MS)


class Thermometer:
    """The newest temperature; `celsius` is None while the sensor does not answer."""

    def __init__(self, sensor):
        self._sensor = sensor
        self.celsius = None
        self.failures = 0

    async def run(self):
        """Measure about once a second, for ever."""
        while True:
            there = self._sensor.convert()
            await asyncio.sleep_ms(CONVERSION_MS)
            self._take(self._sensor.read_c() if there else None)
            await asyncio.sleep_ms(_ASK_AGAIN_MS - CONVERSION_MS)

    def _take(self, celsius):
        if celsius is None:
            if self.failures == 0 or self.celsius is not None:
                say("sensor.silent", "DS18B20")
            self.failures += 1
        self.celsius = celsius
