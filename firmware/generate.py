"""Writes `contract.py` of the device from the contract, and the list of hashes: `python -m firmware.generate`.

A test holds both to their sources, so that what was run is what is shipped.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from contract.topics import Channel, DeviceTopic

ESP32 = Path(__file__).parent / "esp32"
MANIFEST = "manifest.json"
_CONTRACT = "contract.py"
_CHANNELS = (
    Channel.TELEMETRY,
    Channel.STATUS,
    Channel.STORED,
    Channel.CONFIG_DESIRED,
    Channel.CONFIG_REPORTED,
)


def contract() -> str:
    """The text of `contract.py`: the topics that this firmware uses, to be filled with site and device."""
    lines = ['"""Generated from the contract by `python -m firmware.generate`; do not edit."""', ""]
    lines += [f'{channel.name} = "{DeviceTopic("%s", "%s", channel)}"' for channel in _CHANNELS]
    return "\n".join(lines) + "\n"


def shipped(folder: Path = ESP32) -> list[str]:
    """The files that go onto the chip, by their path on it; the owner's own configuration is not among them."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))


def manifest(folder: Path = ESP32) -> str:
    """The text of `manifest.json`: path → SHA-256."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in shipped(folder)}
    return json.dumps(hashes, indent=2) + "\n"


def altered(folder: Path = ESP32) -> list[str]:
    """The files of `folder` that are not as its list says, the missing and the unlisted ones too."""
    listed: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    there: dict[str, str] = json.loads(manifest(folder))
    return sorted(name for name in listed.keys() | there.keys() if listed.get(name) != there.get(name))


def main() -> None:
    """Write both; the list last, since it covers the other."""
    (ESP32 / _CONTRACT).write_text(contract(), encoding="utf-8")
    (ESP32 / MANIFEST).write_text(manifest(), encoding="utf-8")


if __name__ == "__main__":
    main()
