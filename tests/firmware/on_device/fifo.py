"""The accelerometer's driver against the sensor's registers: a late reader, and each range, as JSON."""

import json
import time

import machine
from lib.drivers.mpu6050 import RANGES, Mpu6050

sensor = Mpu6050(machine.I2C(0, machine.Pin(22), machine.Pin(21), 400000))
room = memoryview(bytearray(600))


def first_sample(range_g):
    """The z axis of the first sample, in g."""
    sensor.start(range_g)
    time.sleep_ms(20)
    size = sensor.read_into(room)
    assert size >= 6
    z = room[4] << 8 | room[5]
    return (z - 65536 if z > 32767 else z) / sensor.lsb_per_g


ranges = {range_g: first_sample(range_g) for range_g in RANGES}
time.sleep_ms(250)
late = sensor.read_into(room)
time.sleep_ms(20)
after = sensor.read_into(room)
time.sleep_ms(120)
small = sensor.read_into(room[:20])
print(json.dumps({"ranges": ranges, "late": late, "after": after, "small": small}))
