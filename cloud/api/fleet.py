"""How every machine is: its state in one word, and which of them the demonstration may use."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cloud.api.ordering import NaturalKey, natural_key
from cloud.api.ports import Address, Devices, Lookups, Promotions, Readings
from cloud.api.simulation import KEPT_READY
from cloud.api.times import iso
from cloud.api.views import ModelView
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.devices import DeviceRecord as Device
from cloud.storage.promotions import Promotion
from cloud.storage.reading_blocks import LastSeen
from contract.events import (
    MachineState,
    MachineStateEvent,
    Maturity,
    Phase,
    Remaining,
    SensorState,
    Severity,
)
from contract.plausibility import Metric

DEMO = "demo"
EMULATOR = "emulator"
# A device that reports once a minute may miss four; the word for a person is "no data", not "alarm".
SILENT_AFTER_MS = 5 * 60 * 1000


class State(enum.StrEnum):
    """In the order in which a person should look."""

    CRITICAL = "critical"
    WARNING = "warning"
    NO_DATA = "no_data"
    LEARNING = "learning"
    HEALTHY = "healthy"
    OFF = "off"


_ORDER = {state: place for place, state in enumerate(State)}


class FleetModel(ModelView, frozen=True, kw_only=True):
    """The champion, and what it has seen."""

    trained_through_ms: int
    promoted_at_ms: int


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine does, as its own data tell; `sensors` names only those that cannot be believed.

    `regime` is the operating point while running, from 0; `maturity` says how far the model can be trusted.
    """

    state: MachineState
    maturity: Maturity
    measured_at_ms: int
    measured_at: str
    regime: int | None
    sensors: dict[str, SensorState]
    remaining: Remaining | None


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. `machine` is null until something was judged; `drifting`: channels whose readings moved away."""

    site: str
    device: str
    origin: str
    state: State
    last_seen_ms: int | None
    last_seen: str | None
    metrics: list[Metric]
    model: FleetModel | None
    anomaly_id: str | None
    created_at_ms: int
    machine: MachineView | None = None
    drifting: list[str] = []


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """What the demonstration must know of a demo machine."""

    site: str
    device: str
    judged: bool
    ill: bool
    ill_at_ms: int | None
    heard_at_ms: int | None


class _Known(NamedTuple):
    """What the stores know of all machines."""

    seen: Mapping[Address, LastSeen]
    newest: Mapping[Address, AnomalyRecord]
    champions: Mapping[Address, Promotion]
    machines: Mapping[Address, MachineStateEvent]
    drifting: Mapping[Address, Sequence[str]]


def state_of(
    anomaly: AnomalyRecord | None, seen_ms: int | None, *, judged: bool, now_ms: float, off: bool = False
) -> State:
    """The one word. An anomaly stays one although the machine fell silent or was switched off."""
    if anomaly is not None and _is_active(anomaly):
        return State.CRITICAL if anomaly.severity is Severity.CRITICAL else State.WARNING
    if seen_ms is None or now_ms - seen_ms > SILENT_AFTER_MS:
        return State.NO_DATA
    if not judged:
        return State.LEARNING
    return State.OFF if off else State.HEALTHY


class Fleet:
    """Puts together what the stores know of each machine."""

    def __init__(
        self,
        devices: Devices,
        readings: Readings,
        lookups: Lookups,
        promotions: Promotions,
        clock_ms: Callable[[], float],
    ) -> None:
        self._devices = devices
        self._readings = readings
        self._lookups = lookups
        self._promotions = promotions
        self._clock_ms = clock_ms

    async def devices(self, site: str | None, origin: str | None) -> list[DeviceView]:
        """Those in service, worst first: by state, by score, then `demo-2` before `demo-10`."""
        devices, seen, newest, champions, machines, drifting = await asyncio.gather(
            self._devices.all(),
            self._readings.last_seen(),
            self._lookups.newest_anomalies(),
            self._champions(),
            self._lookups.machine_states(),
            self._lookups.drifting(),
        )
        known, now_ms = _Known(seen, newest, champions, machines, drifting), self._clock_ms()
        wanted = [device for device in devices if _is_wanted(device, site, origin)]
        views = [_view(device, known, now_ms) for device in wanted]
        return sorted(views, key=lambda view: _worst_first(view, known.newest))

    async def demo_machines(self) -> list[Demo]:
        """Those in service."""
        known, seen, newest, champions = await asyncio.gather(
            self._devices.all(), self._readings.last_seen(), self._lookups.newest_anomalies(), self._champions()
        )
        return [
            _demo(
                device, seen.get(_address(device)), newest.get(_address(device)), judged=_address(device) in champions
            )
            for device in known
            if _is_wanted(device, None, DEMO)
        ]

    async def without_champion(self, *, loaded: bool) -> Sequence[str]:
        """Machines whose model readiness waits for: each emulated one, and the demo machines kept ready.

        `loaded`: to be promoted is not enough, the detection agent must judge with it.
        """
        known, champions = await asyncio.gather(self._devices.all(), self._champions())
        if loaded:
            in_use = await self._lookups.models_in_use()
            champions = {address: each for address, each in champions.items() if in_use.get(address) == each.version}
        emulated = [device for device in known if _is_wanted(device, None, EMULATOR)]
        demo = [device for device in known if _is_wanted(device, None, DEMO)]
        missing = [device for device in emulated if _address(device) not in champions]
        unjudged = [device for device in demo if _address(device) not in champions]
        wanted = min(KEPT_READY, len(demo)) - (len(demo) - len(unjudged))
        return ["/".join(_address(device)) for device in [*missing, *unjudged[: max(0, wanted)]]]

    async def _champions(self) -> dict[Address, Promotion]:
        return {(each.site, each.device): each for each in await self._promotions.all_current()}


def _worst_first(view: DeviceView, newest: Mapping[Address, AnomalyRecord]) -> tuple[int, float, NaturalKey]:
    anomaly = newest.get((view.site, view.device)) if view.anomaly_id is not None else None
    return _ORDER[view.state], -anomaly.score if anomaly else 0.0, natural_key(view.site, view.device)


def _is_active(anomaly: AnomalyRecord) -> bool:
    return anomaly.phase is not Phase.CLEARED


def _address(device: Device) -> Address:
    return device.site, device.device


def _is_wanted(device: Device, site: str | None, origin: str | None) -> bool:
    in_service = device.revoked_at_ms is None
    return in_service and site in (None, device.site) and origin in (None, device.origin)


def _view(device: Device, known: _Known, now_ms: float) -> DeviceView:
    address = _address(device)
    anomaly, champion, last = known.newest.get(address), known.champions.get(address), known.seen.get(address)
    seen_ms = None if last is None else last.measured_at_ms
    machine = known.machines.get(address)
    off = machine is not None and machine.state is MachineState.OFF
    return DeviceView(
        site=device.site,
        device=device.device,
        origin=device.origin,
        state=state_of(anomaly, seen_ms, judged=champion is not None, now_ms=now_ms, off=off),
        last_seen_ms=seen_ms,
        last_seen=None if seen_ms is None else iso(seen_ms),
        metrics=device.metrics or [],
        model=None if champion is None else _model(champion),
        anomaly_id=anomaly.anomaly_id if anomaly is not None and _is_active(anomaly) else None,
        created_at_ms=device.created_at_ms,
        machine=None if machine is None else _machine(machine),
        drifting=list(known.drifting.get(address, ())),
    )


def _machine(state: MachineStateEvent) -> MachineView:
    return MachineView(
        state=state.state,
        maturity=state.maturity,
        measured_at_ms=state.measured_at_ms,
        measured_at=iso(state.measured_at_ms),
        regime=state.regime,
        sensors=state.sensors,
        remaining=state.remaining,
    )


def _model(champion: Promotion) -> FleetModel:
    return FleetModel(
        name=champion.name,
        version=champion.version,
        run_id=champion.run_id,
        trained_through_ms=champion.trained_through_ms,
        promoted_at_ms=champion.promoted_at_ms,
    )


def _demo(device: Device, seen: LastSeen | None, anomaly: AnomalyRecord | None, *, judged: bool) -> Demo:
    return Demo(
        site=device.site,
        device=device.device,
        judged=judged,
        ill=anomaly is not None and _is_active(anomaly),
        ill_at_ms=None if anomaly is None else anomaly.detected_at_ms,
        heard_at_ms=None if seen is None else seen.received_at_ms,
    )
