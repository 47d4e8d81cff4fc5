"""What each fault looks like on the eight sensors, at its full size.

The sizes are those of a fault that a technician would act on: past the limit between zones C and D of ISO 10816-1 for
small machines (class I, 4.5 mm/s RMS), or a duty point that the process would feel. Directions come from the sources
named below, sizes are round figures within what these describe; `Fault.severity` brings them in from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.faults import FaultKind


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A fault at full size, each effect scaled by the fault's severity.

    `flow_share`: the flow that still passes, the duty point moving along the pump's curve (1 = all).
    `lost_flow`, `lost_head`, `lost_power`: shares of flow, head and shaft power lost at the same valve position.
    `vibration_*_g`: RMS added in quadrature, since it is uncorrelated with the healthy vibration.
    `*_unsteady`: standard deviation added from second to second, relative to the reading.
    `motor_heat_k`: rise of the motor's temperature, reached with its thermal time constant.
    """

    flow_share: float = 1.0
    lost_flow: float = 0.0
    lost_head: float = 0.0
    lost_power: float = 0.0
    vibration_de_g: float = 0.0
    vibration_nde_g: float = 0.0
    vibration_unsteady: float = 0.0
    flow_unsteady: float = 0.0
    pressure_unsteady: float = 0.0
    current_unsteady: float = 0.0
    motor_heat_k: float = 0.0


SIGNATURES: Mapping[FaultKind, Signature] = {
    # A sine at 1× (49 Hz at 2,940 rpm) on both bearings, mostly at the drive end that carries the impeller; steady,
    # since the mass does not move (Scheffer & Girdhar, "Practical Machinery Vibration Analysis", 2004, ch. 5).
    # 0.26 g RMS at 49 Hz is 8.3 mm/s. Neither hydraulics nor current notice.
    FaultKind.IMBALANCE: Signature(vibration_de_g=0.26, vibration_nde_g=0.15, vibration_unsteady=0.01),
    # Broad-band impacts at the drive-end bearing, unsteady from second to second, about a quarter of which reaches the
    # other bearing through the shaft and the frame; friction follows, which heats the motor from that end and costs a
    # percent or two of current (ISO 15243; SKF, "Bearing damage and failure analysis").
    FaultKind.BEARING_WEAR: Signature(
        vibration_de_g=0.38, vibration_nde_g=0.09, vibration_unsteady=0.06, motor_heat_k=14.0, lost_power=-0.02
    ),
    # Vapour in the impeller's eye: head falls beyond the 3 % that defines NPSH3 (ISO 9906), flow with it, both noisy;
    # bubbles collapse broad-band on both bearings; the load, hence the current, becomes lighter and unsteady (Brennen,
    # "Hydrodynamics of Pumps", 1994, ch. 5 and 6).
    FaultKind.CAVITATION: Signature(
        lost_flow=0.14,
        lost_head=0.18,
        lost_power=0.07,
        vibration_de_g=0.24,
        vibration_nde_g=0.20,
        vibration_unsteady=0.08,
        flow_unsteady=0.030,
        pressure_unsteady=0.050,
        current_unsteady=0.045,
    ),
    # The discharge valve three-quarters shut: less flow, so more pressure and less shaft power, both by the curves of a
    # radial pump (`edge.pump`); recirculation below half of the rated flow shakes it a little (ANSI/HI 9.6.3).
    FaultKind.BLOCKED_VALVE: Signature(flow_share=0.55, vibration_de_g=0.06, vibration_nde_g=0.05),
    # A blocked fan cover: the motor heads for 117 °C at its winding head, where class B (130 °C by IEC 60034-1) is near
    # its end, and draws some percent more as its windings' resistance rises (0.39 % per K for copper) and its slip too.
    FaultKind.OVERHEATING: Signature(motor_heat_k=55.0, lost_power=-0.03),
}

# The sensors at which a technician would look first (names as in `edge.metrics`): an alarm that names one of them first
# is right. Each is moved by the fault itself and not only by what follows from it.
LOOK_FIRST: Mapping[FaultKind, frozenset[str]] = {
    # 1× turns on both bearings.
    FaultKind.IMBALANCE: frozenset({"vibration_de_rms_g", "vibration_nde_rms_g"}),
    # The damaged bearing shakes; the other one only hears it, and the heat comes later and has other causes too.
    FaultKind.BEARING_WEAR: frozenset({"vibration_de_rms_g"}),
    # Lost head and flow, and bubbles that collapse at both bearings. The lighter current is a consequence.
    FaultKind.CAVITATION: frozenset({"pressure_bar", "flow_lpm", "vibration_de_rms_g", "vibration_nde_rms_g"}),
    # The duty point moves along the curve, and flow, pressure and power are its coordinates.
    FaultKind.BLOCKED_VALVE: frozenset({"flow_lpm", "pressure_bar", "current_a"}),
    # Some percent of current may have many causes; a hot winding is looked for at the winding.
    FaultKind.OVERHEATING: frozenset({"motor_temperature_c"}),
}
