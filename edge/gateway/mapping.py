"""The mapping file: which topics of the local broker belong to which device and metric, and how much is kept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from contract.errors import ContractError
from contract.names import check_device, check_site, is_metric
from contract.topics import Channel, DeviceTopic
from edge.gateway.errors import GatewayError
from edge.gateway.patterns import Pattern, check_places
from edge.uplink import LATE_MS

# What one value per topic is gathered for: devices of this kind write all their topics within a moment.
_GATHER_S = 1.0

Format = Literal["ronda", "json", "value"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is held for an absent cloud, and how it is sent when that is back.

    A million readings are five hours of fifty machines at 1 Hz. What waited longer than `late_s` is back-fill: flagged,
    sent at `backfill_per_s` readings a second and overtaken by what is measured now.
    """

    rows: int = 1_000_000
    megabytes: float = 512
    age_h: float = 7 * 24
    backfill_per_s: float = 2_000
    late_s: float = LATE_MS / 1000

    def check(self) -> None:
        """Raises: GatewayError for a limit under which nothing could pass."""
        for name, value in msgspec.structs.asdict(self).items():
            if not value > 0:
                raise GatewayError(f"limits.{name} must be above 0, it is {value}")


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Topics of one kind of device.

    `device` and `metric` may use the names in the topic's braces. `devices` renames what stands there. `metrics`: the
    field or topic level → the metric, with `field.inner` for nested objects; empty: every number, under its own name.
    `time` is the field that holds the time, in `time_unit`; without it the time is that of arrival. Values that come
    within `gather_s` are one reading; `retained` messages are old values, not measurements, and are left out.
    """

    topic: str
    format: Format = "json"
    device: str = "{device}"
    metric: str = "{metric}"
    devices: dict[str, str] = {}
    metrics: dict[str, str] = {}
    time: str | None = None
    time_unit: Literal["s", "ms", "iso"] = "ms"
    gather_s: float | None = None

    @property
    def window_ms(self) -> int:
        """For how long values are gathered into one reading; 0: each message is one."""
        seconds = self.gather_s if self.gather_s is not None else _GATHER_S if self.format == "value" else 0.0
        return int(1000 * seconds)

    def check(self) -> Pattern:
        """Its topics. Raises: GatewayError naming what cannot be."""
        pattern = Pattern.parse(self.topic)
        if self.format != "ronda":
            check_places(self.device, pattern, "source.device")
        if self.format == "value":
            check_places(self.metric, pattern, "source.metric")
        for name in self.devices.values():
            check_device(name)
        if bad := next((name for name in self.metrics.values() if not is_metric(name)), None):
            raise GatewayError(f"the metric name {bad!r} must be 1 to 64 printable characters")
        if not 0 <= self.window_ms <= 60_000:
            raise GatewayError(f"gather_s is a time from 0 to 60 seconds, it is {self.gather_s:g}")
        return pattern


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Without a source, Ronda's own devices of the site are carried."""

    site: str
    name: str = "gateway"
    limits: Limits = Limits()
    source: list[Source] = []

    @property
    def sources(self) -> list[Source]:
        """Those of the file, or the site's own devices."""
        return self.source or [Source(topic=DeviceTopic.filter(Channel.TELEMETRY, self.site), format="ronda")]


def read_mapping(path: Path) -> Mapping:
    """The mapping of this file. Raises: GatewayError saying what is wrong where."""
    try:
        return parse_mapping(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GatewayError(f"cannot read {path}: {error.strerror}") from error
    except (GatewayError, UnicodeDecodeError) as error:
        raise GatewayError(f"{path}: {error}") from error


def parse_mapping(text: str) -> Mapping:
    """The same for the text of a file."""
    try:
        mapping = msgspec.convert(tomllib.loads(text), Mapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        words, _, place = str(error).partition(" - at `$.")
        raise GatewayError(f"{place.removesuffix('`')}: {words}" if place else words) from error
    mapping.limits.check()
    try:
        check_site(mapping.site)
        check_device(mapping.name)
        for source in mapping.sources:
            source.check()
    except ContractError as error:
        raise GatewayError(error.detail) from error
    return mapping
