"""The chip's peripherals, in the place of MicroPython's built-in module: pins, an I2C bus, the watchdog, the reset."""

import ffi
import sys

import plant

# The kernel ends the process when an alarm is not put off: as independent of our code as the chip's watchdog.
_alarm = ffi.open(None).func("I", "alarm", "I")


class Pin:
    """A pin that is only handed on."""

    def __init__(self, number):
        self.number = number


class I2C:
    """A bus with one MPU6050."""

    def __init__(self, number, scl, sda, freq):
        assert (scl.number, sda.number, freq) == (22, 21, 400000)
        self._sensor = plant.Mpu6050()

    def readfrom_mem(self, address, register, size):
        buffer = bytearray(size)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def readfrom_mem_into(self, address, register, buffer):
        assert address == 0x68
        self._sensor.read_into(register, buffer)

    def writeto_mem(self, address, register, data):
        assert address == 0x68
        for value in data:
            self._sensor.write(register, value)


class WDT:
    """Resets what does not feed it in time: here by the kernel's alarm, in whole seconds."""

    def __init__(self, timeout):
        # A test cannot wait for half a minute; the firmware asks for one.
        self._seconds = min(timeout // 1000, 5)
        self.feed()

    def feed(self):
        _alarm(self._seconds)


def reset():
    """The process ends, and whoever started it starts it again."""
    sys.exit(64)
