"""The machine that the device is screwed to: a MPU6050 and a DS18B20 as their registers behave, and what breaks them.

A folder tells them how to behave: `samples` (big-endian x, y, z at +-2 g resolution, played in a circle at 1 kHz),
`celsius`, and files whose presence is a fault: `mpu6050.silent`, `ds18b20.silent`, `bus.stuck`.
"""

import os
import time

_FOLDER = os.getenv("PLANT")
_ADDRESS = 0x68
_FIFO_BYTES = 1024
_SAMPLE = 6


def is_so(fault):
    try:
        os.stat(_FOLDER + "/" + fault)
    except OSError:
        return False
    return True


def celsius():
    with open(_FOLDER + "/celsius") as file:
        return float(file.read())


class Mpu6050:
    """Registers and FIFO; time is the sensor's own, a sample is made every millisecond whether it is read or not."""

    def __init__(self):
        with open(_FOLDER + "/samples", "rb") as file:
            self._samples = file.read()
        self._registers = bytearray(128)
        self._reset()

    def write(self, register, value):
        self._check()
        if register == 0x6B and value & 0x80:
            self._reset()
            return
        self._make()
        if register == 0x6A and value & 0x04:
            self._waiting = 0
            self._made = self._due()
            self._overflow = False
            value &= ~0x04
        self._registers[register] = value

    def read_into(self, register, buffer):
        self._check()
        self._make()
        if register == 0x74:
            self._read_fifo(buffer)
        elif register == 0x72:
            buffer[0], buffer[1] = self._waiting >> 8, self._waiting & 0xFF
        elif register == 0x3A:
            buffer[0] = 0x10 if self._overflow else 0
            self._overflow = False
        else:
            for at in range(len(buffer)):
                buffer[at] = self._registers[register + at]

    def _reset(self):
        for at in range(len(self._registers)):
            self._registers[at] = 0
        self._registers[0x6B] = 0x40  # asleep
        self._registers[0x75] = _ADDRESS
        self._began_us = time.ticks_us()
        self._seconds = self._made = self._waiting = 0
        self._overflow = False

    def _check(self):
        while is_so("bus.stuck"):
            pass  # a slave that holds the clock line: the driver waits for ever
        if is_so("mpu6050.silent"):
            raise OSError(19)  # ENODEV, as the chip says

    def _due(self):
        """How many samples there have been since the reset."""
        passed = time.ticks_diff(time.ticks_us(), self._began_us)
        while passed >= 1000000:
            self._began_us = time.ticks_add(self._began_us, 1000000)
            self._seconds += 1
            passed -= 1000000
        return 1000 * self._seconds + passed // 1000

    def _make(self):
        """Into the FIFO what was sampled since the last look; full, it loses the oldest and says so."""
        due = self._due()
        on = self._registers[0x6A] & 0x40 and self._registers[0x23] & 0x08 and not self._registers[0x6B] & 0x40
        if on:
            self._waiting += _SAMPLE * (due - self._made)
            if self._waiting > _FIFO_BYTES:
                self._waiting = _FIFO_BYTES
                self._overflow = True
        self._made = due

    def _read_fifo(self, buffer):
        assert len(buffer) <= self._waiting
        # At +-4 g the same movement is half the number, and so on.
        coarser = self._registers[0x1C] >> 3 & 3
        at = (self._made * _SAMPLE - self._waiting) % len(self._samples)
        for to in range(0, len(buffer), 2):
            value = self._samples[at] << 8 | self._samples[at + 1]
            value = (value - 65536 if value > 32767 else value) >> coarser
            buffer[to], buffer[to + 1] = value >> 8 & 0xFF, value & 0xFF
            at = (at + 2) % len(self._samples)
        self._waiting -= len(buffer)
