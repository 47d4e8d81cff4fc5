"""A second of vibration in six numbers: RMS of each axis and of all three, peak and crest factor.

Gravity and mounting angle are taken out by removing each axis' mean. RMS and peak over all axes are lengths of the
acceleration vector, so they do not change when the sensor is turned.

The loops are compiled to the processor's own instructions (viper), whose integers end at 2**31: a square, which needs
32 bits, is taken apart into its upper and lower 16. Sums are exact; the peak is to half a step of the sensor.
"""

import array
import math

AXES = 3
# One sample as the MPU6050 keeps it: three big-endian 16-bit integers.
SAMPLE_BYTES = 2 * AXES


def features(raw, count, lsb_per_g):
    """`raw` holds `count` samples. Returns (rms, x_rms, y_rms, z_rms, peak, crest): g, and crest without a unit.

    crest is None where nothing moves at all: there is no shape to tell.
    """
    if not count:
        raise ValueError("no samples")
    means = array.array("i", (round(_total(raw, 2 * axis, count) / count) for axis in range(AXES)))
    sums = array.array("i", (0, 0, 0))
    centre, variances = [], []
    for axis in range(AXES):
        _deviations(raw, 2 * axis, count, means[axis], sums)
        # What rounding took from the mean comes back here, and out of the squares.
        rest = sums[2] / count
        centre.append(means[axis] + rest)
        variances.append(max(0.0, (sums[0] * 65536.0 + sums[1]) / count - rest**2))
    x, y, z = (math.sqrt(variance) / lsb_per_g for variance in variances)
    rms = math.sqrt(sum(variances)) / lsb_per_g
    peak = _length(raw, _farthest(raw, count, means), centre) / lsb_per_g
    return rms, x, y, z, peak, (peak / rms if rms else None)


def _length(raw, sample, centre):
    """How far one sample is from the mean, over all axes."""
    at = SAMPLE_BYTES * sample
    total = 0.0
    for axis in range(AXES):
        value = (raw[at + 2 * axis] << 8) | raw[at + 2 * axis + 1]
        total += ((value - 65536 if value > 32767 else value) - centre[axis]) ** 2
    return math.sqrt(total)


@micropython.viper
def _total(raw: ptr8, at: int, count: int) -> int:
    total = 0
    for _ in range(count):
        value = (raw[at] << 8) | raw[at + 1]
        if value > 32767:
            value -= 65536
        total += value
        at += 6
    return total


@micropython.viper
def _deviations(raw: ptr8, at: int, count: int, mean: int, sums: ptr32):
    """Into `sums`: the squared deviations of one axis, upper and lower halves added apart, and the deviations."""
    upper = 0
    lower = 0
    total = 0
    for _ in range(count):
        value = (raw[at] << 8) | raw[at + 1]
        if value > 32767:
            value -= 65536
        value -= mean
        total += value
        value *= value
        upper += value >> 16 & 0xFFFF
        lower += value & 0xFFFF
        at += 6
    sums[0] = upper
    sums[1] = lower
    sums[2] = total


@micropython.viper
def _farthest(raw: ptr8, count: int, means: ptr32) -> int:
    """Which sample is farthest from the mean, over all axes."""
    best = 0
    best_upper = -1
    best_lower = 0
    at = 0
    for sample in range(count):
        upper = 0
        lower = 0
        for axis in range(3):
            value = (raw[at] << 8) | raw[at + 1]
            if value > 32767:
                value -= 65536
            value -= means[axis]
            value *= value
            upper += value >> 16 & 0xFFFF
            lower += value & 0xFFFF
            at += 2
        upper += lower >> 16
        lower &= 0xFFFF
        if upper > best_upper or (upper == best_upper and lower > best_lower):
            best_upper = upper
            best_lower = lower
            best = sample
    return best
