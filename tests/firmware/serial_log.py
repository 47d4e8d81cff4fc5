"""Prints a device's day into docs/esp32: `python -m tests.firmware.serial_log` writes the serial log and its picture.

The device's own files on MicroPython's 32-bit build, over shimmed peripherals, with a real `ronda up`: power-up,
readings, all of Ronda stopped and started, a configuration taken and one refused, a sensor pulled out and put back.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import textwrap
from html import escape
from pathlib import Path

from tests.firmware.esp32 import Esp32
from tests.support.installation import ROOT, Ronda

FOLDER = ROOT / "docs" / "esp32"
LOG, PICTURE = FOLDER / "serial-log.txt", FOLDER / "serial-log.svg"
HEAD = """\
# What a device printed on its serial line, written by `python -m tests.firmware.serial_log`; not a log of a chip.
# The files of firmware/esp32 ran on MicroPython's unix port (i386, heap of 110 KB) with shimmed sensors, Wi-Fi and time
# server, against a real `ronda up`. Lines with `--` are stage directions.
"""
# Columns of the picture, and its measures in pixels.
COLUMNS, CHARACTER, LINE, MARGIN = 120, 7.8, 18, 16
_OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
    'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">'
)


def main() -> None:
    """Run the day, then write both files."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ronda = Ronda(Path(folder) / "data", "--devices", "1").start()
        stack.callback(ronda.stop)
        ronda.until_ready()
        device = _device(ronda, Path(folder) / "device")
        stack.callback(device.stop)
        _day(ronda, device)
        said = device.said()
    LOG.write_text(HEAD + "\n".join(said) + "\n", encoding="utf-8")
    PICTURE.write_text(picture(said), encoding="utf-8")
    print(LOG, PICTURE)


def _device(ronda: Ronda, folder: Path) -> Esp32:
    shown = json.loads(ronda.run("device", "add", "plant-1/pump-07", "--json", "--data", str(ronda.data)))
    address = {"host": "127.0.0.1", "port": ronda.mqtt_port, "password": shown["password"]}
    return Esp32(folder, "plant-1", "pump-07", mqtt=address).start()


def _day(ronda: Ronda, device: Esp32) -> None:
    device.until_said("readings.stored", times=2)
    _direct(device, "all of Ronda is stopped")
    ronda.stop()
    device.until_said("mqtt.lost", times=4, within_s=60)
    _direct(device, "and started again")
    ronda.start()
    ronda.until_ready()
    device.until_said("mqtt.connected", times=2, within_s=90)
    device.until_said(r"readings\.stored \d\d+ freed")
    _direct(device, "the owner types: ronda device configure plant-1/pump-07 accel_range_g=16")
    ronda.run("device", "configure", "plant-1/pump-07", "accel_range_g=16", "--data", str(ronda.data))
    _direct(device, "and: ronda device configure plant-1/pump-07 accel_range_g=3")
    with contextlib.suppress(AssertionError):
        ronda.run("device", "configure", "plant-1/pump-07", "accel_range_g=3", "--data", str(ronda.data))
    device.until_said("config.refused")
    _direct(device, "the accelerometer is pulled out, and put back")
    device.hurt("mpu6050.silent")
    device.until_said(r"reading.kept \d+ temperature_c")
    device.heal("mpu6050.silent")
    device.until_said("sensor.started", times=3)
    device.until_said("readings.stored", times=len([1 for line in device.said() if "readings.stored" in line]) + 2)


def _direct(device: Esp32, what: str) -> None:
    with (device.folder / "serial.log").open("a") as log:
        log.write(f"-- {what}\n")


def picture(lines: list[str]) -> str:
    """The log as a terminal shows it, as SVG."""
    rows = [row for line in lines for row in textwrap.wrap(line, COLUMNS, subsequent_indent=" " * 12)]
    width, height = COLUMNS * CHARACTER + 2 * MARGIN, LINE * len(rows) + 2 * MARGIN
    texts = [
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (at + 1) - 5}" fill="{_colour(row)}" xml:space="preserve">'
        f"{escape(row, quote=False)}</text>"
        for at, row in enumerate(rows)
    ]
    return "\n".join([
        _OPENING.format(width=width, height=height),
        "<title>The serial log of a device on MicroPython's unix port</title>",
        '<rect width="100%" height="100%" rx="8" fill="#11161c"/>',
        *texts,
        "</svg>",
        "",
    ])  # fmt: skip


def _colour(row: str) -> str:
    if row.startswith("--"):
        return "#7fb4e6"
    return "#e6b455" if any(word in row for word in ("lost", "silent", "refused", "sent_again")) else "#d7dee6"


if __name__ == "__main__":
    main()
