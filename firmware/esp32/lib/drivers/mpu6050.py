"""The MPU6050 accelerometer, read from its own FIFO: 1,000 samples a second by the sensor's clock, whatever we do.

Register numbers and bits: InvenSense, MPU-6000/6050 Register Map, RM-MPU-6000A-00 revision 4.2. Polled instead, the
same sensor jitters by a tenth of a sample. Its band ends at 184 Hz, which suits the orders of a shaft (imbalance,
misalignment, looseness) and not the high frequencies of a bearing.
"""

import time

SAMPLE_BYTES = 6
# +-g -> (bits of ACCEL_CONFIG, least significant bits per g); section 4.5 and the data sheet's section 6.2.
RANGES = {2: (0x00, 16384), 4: (0x08, 8192), 8: (0x10, 4096), 16: (0x18, 2048)}

_SMPLRT_DIV = 0x19
_CONFIG = 0x1A
_ACCEL_CONFIG = 0x1C
_FIFO_EN = 0x23
_INT_STATUS = 0x3A
_USER_CTRL = 0x6A
_PWR_MGMT_1 = 0x6B
_FIFO_COUNT_H = 0x72
_FIFO_R_W = 0x74
_WHO_AM_I = 0x75

_OVERFLOW = 0x10
# After this long the registers answer again (register map, section 4.28).
_RESET_MS = 100
# Of the FIFO's 1,024 bytes: what one read takes at most, 10 ms of a 400 kHz bus.
_MOST_AT_ONCE = 480


class Mpu6050:
    """`i2c` is a machine.I2C. Every method raises OSError when the sensor does not answer."""

    def __init__(self, i2c, address=0x68):
        self._i2c = i2c
        self._address = address
        self.lsb_per_g = 0

    def start(self, range_g):
        """Reset, then fill the FIFO with acceleration at 1 kHz. Raises: OSError when something else answers."""
        bits, self.lsb_per_g = RANGES[range_g]
        self._write(_PWR_MGMT_1, 0x80)
        time.sleep_ms(_RESET_MS)
        # Clones answer 0x70 to 0x72 and 0x98; their FIFO is not this one.
        if self._read(_WHO_AM_I) != 0x68:
            raise OSError("what answers on the bus is no MPU6050")
        self._write(_PWR_MGMT_1, 0x01)  # awake, by the gyroscope's oscillator: 1 % instead of 5 %
        self._write(_CONFIG, 0x01)  # low-pass at 184 Hz, 1 kHz base rate
        self._write(_SMPLRT_DIV, 0)
        self._write(_ACCEL_CONFIG, bits)
        self._write(_FIFO_EN, 0x08)  # the accelerometer alone
        self.clear()

    def clear(self):
        """Throw away what the FIFO holds and begin with a whole sample."""
        self._write(_USER_CTRL, 0x04)
        self._write(_USER_CTRL, 0x40)
        self._read(_INT_STATUS)

    def read_into(self, room):
        """Move whole samples from the FIFO into `room`, a memoryview; returns their bytes, None after an overflow."""
        if self._read(_INT_STATUS) & _OVERFLOW:
            self.clear()
            return None
        high, low = self._i2c.readfrom_mem(self._address, _FIFO_COUNT_H, 2)
        size = min(high << 8 | low, len(room), _MOST_AT_ONCE)
        size -= size % SAMPLE_BYTES
        if size:
            self._i2c.readfrom_mem_into(self._address, _FIFO_R_W, room[:size])
        return size

    def _read(self, register):
        return self._i2c.readfrom_mem(self._address, register, 1)[0]

    def _write(self, register, value):
        self._i2c.writeto_mem(self._address, register, bytes((value,)))
