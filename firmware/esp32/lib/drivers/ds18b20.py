"""The DS18B20 thermometer, alone on its wire (Maxim data sheet 19-7487: commands on page 10, format on page 6)."""

CONVERSION_MS = 750  # at the 12 bits that it wakes up with

_SKIP_ROM = 0xCC
_CONVERT = 0x44
_READ_SCRATCHPAD = 0xBE
# What it holds before its first conversion: 85 degrees that nobody measured.
_POWER_ON = 0x0550


class Ds18b20:
    """`wire` is an onewire.OneWire."""

    def __init__(self, wire):
        self._wire = wire

    def convert(self):
        """Start measuring; the answer is there after CONVERSION_MS. Returns False when nothing is on the wire."""
        if not self._wire.reset():
            return False
        self._wire.writebyte(_SKIP_ROM)
        self._wire.writebyte(_CONVERT)
        return True

    def read_c(self):
        """Degrees Celsius in steps of 1/16, or None when the answer is missing, damaged or the power-on value."""
        if not self._wire.reset():
            return None
        self._wire.writebyte(_SKIP_ROM)
        self._wire.writebyte(_READ_SCRATCHPAD)
        scratchpad = bytes(self._wire.readbyte() for _ in range(9))
        raw = scratchpad[0] | scratchpad[1] << 8
        # A wire that is always high or low has a right checksum only where all bytes are zero.
        if self._wire.crc8(scratchpad) or not any(scratchpad) or raw == _POWER_ON:
            return None
        return (raw - 65536 if raw > 32767 else raw) / 16
