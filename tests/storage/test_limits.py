from __future__ import annotations

from cloud.storage.database import Database
from cloud.storage.limits import LimitStore
from detection.episode import Severity
from detection.limit import Limit

WARNING = Limit(metric="vibration_de_mm_s", high=2.8, source="iso20816", label="group2-rigid B/C")
CRITICAL = Limit(
    metric="vibration_de_mm_s", high=4.5, severity=Severity.CRITICAL, source="iso20816", label="group2-rigid C/D"
)
OWN = Limit(metric="motor_temperature_c", low=5.0, high=90.0)


async def test_limits_are_read_as_they_were_set_by_metric_and_warnings_first(database: Database) -> None:
    limits = LimitStore(database)
    await limits.replace("plant-1", "pump-07", [CRITICAL, WARNING, OWN])
    assert await limits.of("plant-1", "pump-07") == [OWN, WARNING, CRITICAL]
    assert await limits.of("plant-1", "pump-08") == []


async def test_setting_others_takes_away_those_there_were_of_this_machine_alone(database: Database) -> None:
    limits = LimitStore(database)
    await limits.replace("plant-1", "pump-07", [WARNING, OWN])
    await limits.replace("plant-1", "pump-08", [OWN])
    await limits.replace("plant-1", "pump-07", [CRITICAL])
    assert await limits.all() == {("plant-1", "pump-07"): [CRITICAL], ("plant-1", "pump-08"): [OWN]}
    await limits.replace("plant-1", "pump-07", [])
    assert await limits.all() == {("plant-1", "pump-08"): [OWN]}


async def test_of_two_for_the_same_the_later_one_counts(database: Database) -> None:
    limits = LimitStore(database)
    later = Limit(metric="motor_temperature_c", high=95.0, label="as agreed")
    await limits.replace("plant-1", "pump-07", [OWN, later])
    assert await limits.of("plant-1", "pump-07") == [later]
