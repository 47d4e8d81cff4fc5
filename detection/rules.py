"""The rules themselves: what several sensors do together when a machine has a certain fault, and who says so.

Each condition is a small function whose name reads; `RULES` says in which order they are tried, the narrower before the
wider ones, and what each one means. The sizes that count as "up" or "unchanged" are in `detection.signs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from detection.faults import Fault
from detection.roles import Place, Quantity
from detection.signs import Signs

# A motor four times as far out as healthy ones go, while its bearings are as calm as ever: friction would be heard.
_PLAINLY = 4.0

ROTOR = "ISO 13373-3:2015, guidelines for vibration diagnosis"
CHANGE = "ISO 20816-1:2016, criterion II: a change of vibration magnitude"
MATCHED = "ISO 17359:2018, tables that match faults to measured parameters"
CURVES = "Gülich, Centrifugal Pumps, 3rd ed. 2014, ch. 4: performance characteristics"
AFFINITY = "Gülich, Centrifugal Pumps, 3rd ed. 2014: affinity laws"
CAVITATION = "Gülich, Centrifugal Pumps, 3rd ed. 2014, ch. 6: suction capability and cavitation"
THERMAL = "IEC 60034-11:2020: excessive temperature comes from overload or loss of cooling"
SUPPLY = "IEC 60034-1:2022: voltage and frequency variations during operation"


class Rule(msgspec.Struct, frozen=True):
    """When `holds`, it `looks` (en, pt) like one of `candidates`, as `source` says. `{end}`: at which bearing."""

    holds: Callable[[Signs], bool]
    fault: Fault
    candidates: Sequence[Fault]
    looks: tuple[str, str]
    source: str

    @property
    def name(self) -> str:
        """The condition's own name."""
        return self.holds.__name__


def voltage_moved_and_the_machine_did_not(signs: Signs) -> bool:
    """The supply changed; flow, pressure and vibration did not care. Current answers to voltage by itself."""
    others = (Quantity.VIBRATION, Quantity.FLOW, Quantity.PRESSURE, Quantity.SPEED)
    calm = all(signs.still(each) for each in others if signs.measured(each))
    return (signs.up(Quantity.VOLTAGE) or signs.down(Quantity.VOLTAGE)) and calm


def speed_changed(signs: Signs) -> bool:
    """The machine is run faster or slower: everything follows, by the affinity laws."""
    return signs.up(Quantity.SPEED) or signs.down(Quantity.SPEED)


def flow_pressure_and_current_rose_together(signs: Signs) -> bool:
    """More head and more flow at once: only more speed does that."""
    current = signs.up(Quantity.CURRENT) or signs.up(Quantity.POWER)
    return signs.up(Quantity.FLOW) and _discharge_up(signs) and current


def flow_pressure_current_and_vibration_fell_together(signs: Signs) -> bool:
    """Less of everything, and calmer too: slower. A fault that costs flow and head does not calm a pump."""
    current = signs.down(Quantity.CURRENT) or signs.down(Quantity.POWER)
    fell = signs.down(Quantity.FLOW) and _discharge_down(signs) and current
    return fell and signs.down(Quantity.VIBRATION) and not signs.unsteady(Quantity.VIBRATION)


def one_bearing_shakes_and_it_gets_hot(signs: Signs) -> bool:
    """Friction and impacts at one bearing, and the load is not to blame."""
    several = signs.measured(Quantity.VIBRATION, Place.DRIVE_END) and signs.measured(
        Quantity.VIBRATION, Place.OTHER_END
    )
    alone = signs.shaken_end is not None or not several
    return signs.up(Quantity.VIBRATION) and signs.hot and alone and signs.load_unchanged


def one_bearing_shakes_and_load_is_unchanged(signs: Signs) -> bool:
    """One end alone: what sits at that end, not the rotor as a whole."""
    return signs.shaken_end is not None and not signs.hot and signs.load_unchanged


def vibration_rose_and_load_is_unchanged(signs: Signs) -> bool:
    """More vibration without more load."""
    return signs.shaken and signs.load_unchanged


def head_fell_and_everything_is_unsteady(signs: Signs) -> bool:
    """Vapour in the impeller: the head breaks down, bubbles collapse, flow and pressure fluctuate."""
    restless = signs.unsteady(Quantity.PRESSURE, Quantity.FLOW, Quantity.CURRENT)
    return signs.shaken and restless and _delivers_less(signs)


def head_fell_and_vibration_rose(signs: Signs) -> bool:
    """The same without the fluctuation: a damaged impeller could do that too."""
    return signs.shaken and _delivers_less(signs)


def flow_fell_and_discharge_pressure_rose(signs: Signs) -> bool:
    """The duty point moved up the pump's own curve: something behind it closes. A radial pump then takes less power."""
    current = signs.up(Quantity.CURRENT) or signs.up(Quantity.POWER)
    return signs.down(Quantity.FLOW) and _discharge_up(signs) and not current


def flow_and_suction_pressure_fell(signs: Signs) -> bool:
    """Too little arrives at the pump."""
    return signs.down(Quantity.FLOW) and signs.down(Quantity.PRESSURE, Place.SUCTION)


def flow_and_pressure_fell_and_current_rose(signs: Signs) -> bool:
    """The pump runs out on its curve, but the flow does not arrive at the meter."""
    current = signs.up(Quantity.CURRENT) or signs.up(Quantity.POWER)
    return signs.down(Quantity.FLOW) and _discharge_down(signs) and current


def flow_and_pressure_fell(signs: Signs) -> bool:
    """The pump itself gives less than its curve says."""
    return signs.down(Quantity.FLOW) and _discharge_down(signs) and not signs.shaken


def flow_rose_and_pressure_fell(signs: Signs) -> bool:
    """The duty point moved down the pump's own curve: more is let through."""
    return signs.up(Quantity.FLOW) and _discharge_down(signs) and not signs.down(Quantity.CURRENT)


def flow_fell_and_pressure_does_not_tell(signs: Signs) -> bool:
    """Less is moved, as calmly as ever and for no more power; on which side of the pump the reason is stays open."""
    current = signs.up(Quantity.CURRENT) or signs.up(Quantity.POWER)
    pressure = _discharge_up(signs) or _discharge_down(signs)
    calm = signs.still(Quantity.VIBRATION)
    return signs.down(Quantity.FLOW) and calm and not (current or pressure)


def current_rose_enough_for_the_heat(signs: Signs) -> bool:
    """More current, and no more heat than it makes: copper losses grow with its square (Joule).

    A temperature in °C grows by a smaller share than the machine's own warming does, so this leans towards yes.
    """
    growth = 1 + signs.rise(Quantity.CURRENT)
    warmer = 1 + signs.rise(Quantity.TEMPERATURE, Place.MOTOR, Place.BEARING)
    return signs.up(Quantity.CURRENT) and signs.hot and growth * growth >= warmer


def motor_and_medium_got_warmer(signs: Signs) -> bool:
    """What cools the machine is itself warm."""
    return signs.hot and signs.up(Quantity.TEMPERATURE, Place.FLUID) and signs.load_unchanged and not signs.shaken


def motor_got_far_hotter_and_runs_as_calmly_as_ever(signs: Signs) -> bool:
    """Heat without load and without friction that could be felt."""
    far = signs.up(Quantity.TEMPERATURE, Place.MOTOR, by=_PLAINLY)
    return far and signs.load_unchanged and signs.still(Quantity.VIBRATION)


def motor_got_hotter_and_load_is_unchanged(signs: Signs) -> bool:
    """Heat without load: it is not carried away, or friction makes it."""
    return signs.hot and signs.load_unchanged and not signs.shaken


def vibration_rose_and_load_is_not_told(signs: Signs) -> bool:
    """A machine of which only vibration is known: it changed, and that alone is worth finding out."""
    return signs.shaken and not any(
        signs.measured(each) for each in (Quantity.CURRENT, Quantity.POWER, Quantity.FLOW, Quantity.PRESSURE)
    )


def _discharge_up(signs: Signs) -> bool:
    return signs.up(Quantity.PRESSURE, None, Place.DISCHARGE, Place.FLUID)


def _discharge_down(signs: Signs) -> bool:
    return signs.down(Quantity.PRESSURE, None, Place.DISCHARGE, Place.FLUID)


def _delivers_less(signs: Signs) -> bool:
    """Less head, no more flow than before, and no more power."""
    more = signs.up(Quantity.FLOW) or signs.up(Quantity.CURRENT) or signs.up(Quantity.POWER)
    return _discharge_down(signs) and not more


_ROTOR = (Fault.IMBALANCE, Fault.MISALIGNMENT, Fault.LOOSENESS, Fault.BEARING_WEAR)
_NOT_LOAD = ("looks mechanical, not load", "parece mecânico, não de carga")
_OTHER_POINT = ("looks like another operating point, not a fault", "parece outro ponto de operação, não uma falha")

RULES: tuple[Rule, ...] = (
    Rule(
        voltage_moved_and_the_machine_did_not,
        Fault.SUPPLY_VOLTAGE,
        (Fault.SUPPLY_VOLTAGE,),
        ("looks like the supply, not the machine", "parece ser a rede elétrica, não a máquina"),
        SUPPLY,
    ),
    Rule(speed_changed, Fault.OPERATING_POINT, (Fault.OPERATING_POINT,), _OTHER_POINT, AFFINITY),
    Rule(
        flow_pressure_and_current_rose_together,
        Fault.OPERATING_POINT,
        (Fault.OPERATING_POINT,),
        _OTHER_POINT,
        AFFINITY,
    ),
    Rule(
        flow_pressure_current_and_vibration_fell_together,
        Fault.OPERATING_POINT,
        (Fault.OPERATING_POINT,),
        _OTHER_POINT,
        AFFINITY,
    ),
    Rule(
        one_bearing_shakes_and_it_gets_hot,
        Fault.BEARING_WEAR,
        (Fault.BEARING_WEAR,),
        ("looks like the bearing{end}, not load", "parece ser o mancal{end}, não a carga"),
        MATCHED,
    ),
    Rule(
        one_bearing_shakes_and_load_is_unchanged,
        Fault.MECHANICAL,
        (Fault.BEARING_WEAR, Fault.MISALIGNMENT, Fault.LOOSENESS),
        ("looks mechanical{end}, not load", "parece mecânico{end}, não de carga"),
        ROTOR,
    ),
    Rule(vibration_rose_and_load_is_unchanged, Fault.MECHANICAL, _ROTOR, _NOT_LOAD, ROTOR),
    Rule(
        head_fell_and_everything_is_unsteady,
        Fault.CAVITATION,
        (Fault.CAVITATION,),
        ("looks like cavitation", "parece cavitação"),
        CAVITATION,
    ),
    Rule(
        head_fell_and_vibration_rose,
        Fault.HYDRAULIC,
        (Fault.CAVITATION, Fault.SUCTION_LOSS, Fault.WORN_IMPELLER),
        ("looks like a hydraulic fault, suction or impeller", "parece falha hidráulica, na sucção ou no rotor"),
        f"{CAVITATION}; {MATCHED}",
    ),
    Rule(
        flow_fell_and_discharge_pressure_rose,
        Fault.BLOCKED_VALVE,
        (Fault.BLOCKED_VALVE,),
        ("looks like a closing or blocked discharge", "parece recalque se fechando ou obstruído"),
        CURVES,
    ),
    Rule(
        flow_and_suction_pressure_fell,
        Fault.SUCTION_LOSS,
        (Fault.SUCTION_LOSS,),
        ("looks like a blocked suction", "parece sucção obstruída"),
        CAVITATION,
    ),
    Rule(
        flow_and_pressure_fell_and_current_rose,
        Fault.HYDRAULIC,
        (Fault.LEAK, Fault.WORN_IMPELLER),
        ("looks like flow that is lost on the way", "parece vazão perdida no caminho"),
        CURVES,
    ),
    Rule(
        flow_and_pressure_fell,
        Fault.HYDRAULIC,
        (Fault.SUCTION_LOSS, Fault.CAVITATION, Fault.WORN_IMPELLER, Fault.LEAK),
        ("looks like a hydraulic fault: the pump delivers less", "parece falha hidráulica: a bomba entrega menos"),
        CURVES,
    ),
    Rule(
        flow_rose_and_pressure_fell,
        Fault.OPERATING_POINT,
        (Fault.OPERATING_POINT, Fault.LEAK),
        ("looks like more being taken, or a leak", "parece maior consumo ou vazamento"),
        CURVES,
    ),
    Rule(
        flow_fell_and_pressure_does_not_tell,
        Fault.HYDRAULIC,
        (Fault.BLOCKED_VALVE, Fault.SUCTION_LOSS, Fault.LEAK),
        ("looks hydraulic, not mechanical", "parece hidráulico, não mecânico"),
        CURVES,
    ),
    Rule(
        current_rose_enough_for_the_heat,
        Fault.OVERLOAD,
        (Fault.OVERLOAD,),
        ("looks like overload", "parece sobrecarga"),
        THERMAL,
    ),
    Rule(
        motor_and_medium_got_warmer,
        Fault.WARM_SURROUNDINGS,
        (Fault.WARM_SURROUNDINGS, Fault.OVERHEATING),
        ("looks like warm surroundings, not load", "parece ser o ambiente quente, não a carga"),
        THERMAL,
    ),
    Rule(
        motor_got_far_hotter_and_runs_as_calmly_as_ever,
        Fault.OVERHEATING,
        (Fault.OVERHEATING,),
        ("looks like poor cooling, not load", "parece má refrigeração, não a carga"),
        THERMAL,
    ),
    Rule(
        motor_got_hotter_and_load_is_unchanged,
        Fault.HEAT,
        (Fault.OVERHEATING, Fault.BEARING_WEAR),
        ("looks like poor cooling or friction, not load", "parece má refrigeração ou atrito, não a carga"),
        f"{THERMAL}; {MATCHED}",
    ),
    Rule(
        vibration_rose_and_load_is_not_told,
        Fault.MECHANICAL,
        (*_ROTOR, Fault.OPERATING_POINT),
        ("looks mechanical, unless the load changed", "parece mecânico, se a carga não mudou"),
        CHANGE,
    ),
)
