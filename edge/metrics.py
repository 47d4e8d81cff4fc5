"""The eight sensors of an emulated pump: what they measure, in which unit, how finely and how far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.plausibility import Metric

Rows = NDArray[np.float64]
"""Shape (n, 8): one row per second, one column per entry of `METRICS`."""

# `low` and `high` are what the sensor can measure, not what is healthy:
# vibration   MEMS accelerometer, ±16 g range (InvenSense MPU-6050 data sheet, section 6.2); an RMS has no sign
# current     split-core current transformer, 20 A model (YHDC SCT-013-020)
# pressure    4–20 mA gauge transmitter, -1 to 16 bar
# motor       Pt100 in the winding head, IEC 60751, here in a -50 to 200 °C transmitter
# fluid       DS18B20, -55 to 125 °C (Maxim data sheet)
# voltage     line-to-line; a 600 V transducer for the 400 V grid
# flow        DN25 turbine meter with 400 l/min full scale
METRICS: list[Metric] = [
    Metric(name="vibration_de_rms_g", unit="g", low=0.0, high=16.0),
    Metric(name="vibration_nde_rms_g", unit="g", low=0.0, high=16.0),
    Metric(name="current_a", unit="A", low=0.0, high=20.0),
    Metric(name="pressure_bar", unit="bar", low=-1.0, high=16.0),
    Metric(name="motor_temperature_c", unit="°C", low=-50.0, high=200.0),
    Metric(name="fluid_temperature_c", unit="°C", low=-55.0, high=125.0),
    Metric(name="voltage_v", unit="V", low=0.0, high=600.0),
    Metric(name="flow_lpm", unit="l/min", low=0.0, high=400.0),
]
NAMES: tuple[str, ...] = tuple(metric.name for metric in METRICS)

# Decimals that they resolve: 1 mg of RMS over a second, 10 mA, 10 mbar, 0.1 K, the DS18B20's 1/16 K, 0.1 V, 0.1 l/min.
DECIMALS = (3, 3, 2, 2, 1, 2, 1, 1)


class Column(NamedTuple):
    """Where each sensor stands in a row."""

    vibration_de: int = 0
    vibration_nde: int = 1
    current: int = 2
    pressure: int = 3
    motor_temperature: int = 4
    fluid_temperature: int = 5
    voltage: int = 6
    flow: int = 7


COLUMN = Column()


def as_measured(rows: Rows) -> list[tuple[float, ...]]:
    """What the sensors would say: within their range and rounded to their resolution."""
    return list(zip(*(column.tolist() for column in rounded(rows).T), strict=True))


def rounded(rows: Rows) -> Rows:
    """The same as an array; what is missing (NaN) stays missing."""
    columns = [
        np.round(np.clip(rows[:, index], metric.low, metric.high), decimals)
        for index, (metric, decimals) in enumerate(zip(METRICS, DECIMALS, strict=True))
    ]
    return np.stack(columns, axis=1)
