"""The way to the world: Wi-Fi, and the time of day without which a reading cannot be placed."""

import asyncio
import time

import network
import ntptime

from lib.serial import say

# The chip counts from 2000, MicroPython elsewhere from 1970; readings are in milliseconds since 1970.
_EPOCH_MS = 946684800000 if time.gmtime(0)[0] == 2000 else 0
# Before this year the clock has not been set: it starts in 2000 at power-up.
_BUILT = 2025
_JOIN_WITHIN_S = 20
# A quartz crystal of 20 ppm is off by 70 ms after an hour.
_SET_EVERY_MS = 3600 * 1000


def now_ms():
    """UTC epoch milliseconds, or None while the clock is not set."""
    if time.gmtime()[0] < _BUILT:
        return None
    return time.time_ns() // 1000000 + _EPOCH_MS


class Network:
    """One Wi-Fi network and one time server."""

    def __init__(self, ssid, password, time_server):
        self._ssid, self._password = ssid, password
        ntptime.host = time_server
        self._wlan = network.WLAN(network.STA_IF)
        self._set_at_ms = None

    def wake(self):
        """Switch the radio on: with it the chip's random numbers are random, which `boot` wants."""
        self._wlan.active(True)

    def rssi(self):
        """How well the access point is heard, in dBm; None while there is none."""
        try:
            return self._wlan.status("rssi")
        except OSError:
            return None

    async def join(self):
        """Be on the network. Raises: OSError when it is not there."""
        if not self._wlan.isconnected():
            await self._connect()

    def keep_time(self):
        """Ask the time server when it is due; whoever does not answer is asked again the next time."""
        if self._set_at_ms is not None and time.ticks_diff(time.ticks_ms(), self._set_at_ms) < _SET_EVERY_MS:
            return
        try:
            ntptime.settime()
        except OSError as error:
            say("clock.unset" if now_ms() is None else "clock.unchecked", error)
        else:
            self._set_at_ms = time.ticks_ms()
            say("clock.set", now_ms())

    async def _connect(self):
        self._wlan.active(True)
        self._wlan.disconnect()
        self._wlan.connect(self._ssid, self._password)
        for _ in range(10 * _JOIN_WITHIN_S):
            if self._wlan.isconnected():
                say("wifi.joined", "%s %s" % (self._ssid, self._wlan.ifconfig()[0]))
                return
            await asyncio.sleep_ms(100)
        raise OSError("no Wi-Fi %s within %d s" % (self._ssid, _JOIN_WITHIN_S))
