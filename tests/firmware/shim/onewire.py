"""A one-wire bus with one DS18B20, by the bytes of its data sheet."""

import struct

import plant


class OneWire:
    """What the chip's own `onewire` offers, as far as the driver asks for it."""

    def __init__(self, pin):
        assert pin.number == 4
        self._raw = 0x0550
        self._answer = b""

    def reset(self):
        return not plant.is_so("ds18b20.silent")

    def writebyte(self, value):
        if value == 0x44:
            self._raw = int(round(plant.celsius() * 16))
        elif value == 0xBE:
            scratchpad = struct.pack("<h", self._raw) + b"\x4b\x46\x7f\xff\x0c\x10"
            self._answer = scratchpad + bytes((self.crc8(scratchpad),))

    def readbyte(self):
        value, self._answer = self._answer[0], self._answer[1:]
        return value

    def crc8(self, data):
        """x^8 + x^5 + x^4 + 1, least significant bit first."""
        crc = 0
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = (crc >> 1) ^ (0x8C if crc & 1 else 0)
        return crc
