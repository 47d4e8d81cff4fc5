"""What the notebooks about the detector find is what their text says, and what the product does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detection.settings import Settings
from ronda.settings import Settings as Product
from tests.notebooks.conftest import Run
from tests.notebooks.each import is_a_run_in_mlflow, renders_for_reading

# Each takes up to a minute on two free cores; the usual limit is for tests that wait for something.
pytestmark = pytest.mark.timeout(600)
NAMES = ("01_healthy_baseline", "02_detector_on_skab", "09_fleet_simulation")


@pytest.fixture
def healthy(run: Run) -> dict[str, Any]:
    return run("01_healthy_baseline").figures


@pytest.fixture
def skab(run: Run) -> dict[str, Any]:
    return run("02_detector_on_skab").figures


@pytest.fixture
def fleet(run: Run) -> dict[str, Any]:
    return run("09_fleet_simulation").figures


class TestHealthyBaseline:
    def test_a_limit_from_a_table_is_broken_by_health_itself_and_the_largest_score_is_not(
        self, healthy: dict[str, Any]
    ) -> None:
        beyond = healthy["healthy_rows_beyond"]
        assert beyond["table"] > 0.2
        assert beyond["largest"] < 0.02

    def test_the_knee_of_the_drift_share_is_four_times_white_noise_and_temperatures_are_beyond(
        self, healthy: dict[str, Any]
    ) -> None:
        drift = healthy["drift"]
        assert drift["white_noise"] == pytest.approx(1 / drift["block"], rel=0.15)
        assert drift["knee"] == pytest.approx(4 * drift["white_noise"], rel=0.2)
        for parts in ("short_parts", "other_days", "long_parts"):
            assert drift[parts]["fluid_temp"] > 0.5
            assert max(drift[parts][name] for name in ("current", "pressure", "voltage")) < 0.06
        assert healthy["widening"]["rows_1_5"]["trusted"] > 1.4 * healthy["widening"]["rows_1_5"]["distrusted"]

    def test_the_window_leaves_a_quarter_of_a_row_s_noise(self, healthy: dict[str, Any]) -> None:
        assert healthy["window"] == Settings().window
        assert 0.2 < healthy["noise_left"][f"window_{healthy['window']}"] < 0.3

    def test_what_is_learned_from_the_default_number_of_rows_is_quiet_and_from_400_it_is_not(
        self, healthy: dict[str, Any]
    ) -> None:
        learned = healthy["learned"]
        enough = learned[f"people_{Product.model_fields['learn_rows'].default}_rows"]
        assert enough["with_alarm"] == 0
        assert enough["beyond"] < 0.02
        assert enough["ready"] > 0.7
        assert learned["people_400_rows"]["with_alarm"] > 0.3
        assert (
            learned["rows_400_rows"]["beyond"]
            > learned["rows_800_rows"]["beyond"]
            > learned["rows_3200_rows"]["beyond"]
        )

    def test_one_row_in_twenty_gives_the_benchmark_s_limit_without_a_label(self, healthy: dict[str, Any]) -> None:
        assert healthy["label_free"]["least_factor_with_five_percent"] in {1.25, 1.5}
        assert healthy["label_free"]["at_2_5"]["found"] < 0.02

    def test_following_faster_is_quieter_and_slower_to_tell(self, healthy: dict[str, Any]) -> None:
        fast, never = healthy["following"]["rows_120"], healthy["following"]["rows_1000000"]
        assert fast["beyond"] < never["beyond"]
        assert fast["delay_s"] >= never["delay_s"]
        assert healthy["following"][f"rows_{Settings().follow_rows}"]["found"] == 1

    def test_regimes_are_learned_and_a_healthy_day_in_shifts_raises_nothing(self, healthy: dict[str, Any]) -> None:
        regimes = healthy["regimes"]
        assert regimes["points"] == regimes["true_points"] == 2
        assert regimes["agree"] > 0.98
        assert regimes["alarms"] == 0


class TestDetectorOnSkab:
    def test_it_reaches_the_goals_of_the_development_recordings_and_is_ahead_of_the_field(
        self, skab: dict[str, Any]
    ) -> None:
        ours = skab["compared"]["Ronda"]
        assert ours["F1"] >= 0.88
        assert ours["FAR"] <= 12
        assert ours["NAB"] >= 45
        assert min(one["low"] for one in skab["ahead_f1"].values()) > 0

    def test_trusting_drifting_channels_flags_more_of_what_is_healthy(self, skab: dict[str, Any]) -> None:
        trusting = skab["ablation_drifting_channels_trusted_like_others"]
        assert trusting["far"] > skab["compared"]["Ronda"]["FAR"] + 4
        assert trusting["change"] < 0
        assert skab["ablation_limit_not_raised_by_the_last_third"]["change"] < 0

    def test_choosing_by_labels_looks_better_than_it_is(self, skab: dict[str, Any]) -> None:
        chosen = skab["choosing_by_labels"]
        assert chosen["apparent_gain"] >= 0
        assert chosen["nested_gain"] <= chosen["apparent_gain"]
        assert chosen["nested_gain"] < 0.02

    def test_people_are_told_less_often_and_the_right_sensor_first(self, skab: dict[str, Any]) -> None:
        assert skab["outside_faults"]["people"] <= skab["outside_faults"]["rows"]
        events = skab["events"]
        assert events["raised_inside"] >= 8
        assert events["right_sensor"] >= events["raised_inside"] - 1

    def test_one_by_one_as_in_a_batch_and_never_from_the_future(self, skab: dict[str, Any]) -> None:
        assert skab["row_by_row_equals_batched"]
        assert skab["prefixes_equal"]


class TestFleetSimulation:
    def test_a_healthy_fleet_alarms_less_than_once_per_machine_and_day(self, fleet: dict[str, Any]) -> None:
        assert fleet["fleet"]["machines"] == 3
        assert fleet["healthy"]["a_day"] < 1
        assert fleet["healthy"]["mails_a_day"] <= fleet["healthy"]["a_day"]
        assert fleet["healthy"]["in_alarm"] < 0.05

    def test_faults_of_the_documented_sizes_are_found_soon_and_at_the_right_sensor(self, fleet: dict[str, Any]) -> None:
        everything, quick = fleet["faults"]["all"], fleet["faults"]["all_in_4_s"]
        assert everything["tries"] >= 30
        assert everything["found"] > 0.95
        assert everything["delay_s"] < 60
        assert quick["delay_s"] < 30
        assert everything["right"] > 0.9

    def test_most_alarms_about_machines_that_seldom_fail_are_about_nothing(self, fleet: dict[str, Any]) -> None:
        assert fleet["worth"]["a_fault_every_5_years"]["at_worst"] < 0.05


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_it_is_a_run_in_mlflow_with_the_hash_of_its_data(self, run: Run, name: str) -> None:
        is_a_run_in_mlflow(run(name), name)

    def test_it_renders_with_its_summary_first_and_small_pictures(self, run: Run, name: str, tmp_path: Path) -> None:
        renders_for_reading(run(name), tmp_path)
