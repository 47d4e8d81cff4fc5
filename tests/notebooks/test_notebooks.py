"""The notebooks that name faults run from top to bottom on the data folder, and find what their text says they find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detection.classifier import Classifier
from notebooks.execute import names
from tests.notebooks import test_detector_notebooks
from tests.notebooks.conftest import QUICK, Run
from tests.notebooks.each import is_a_run_in_mlflow, renders_for_reading

# Each takes up to a minute on two free cores; the usual limit is for tests that wait for something.
pytestmark = pytest.mark.timeout(600)
NAMES = ("05_classification_benchmark", "08_pump_classification")


@pytest.fixture
def benchmark(run: Run) -> dict[str, Any]:
    return run("05_classification_benchmark").figures


@pytest.fixture
def pumps(run: Run) -> dict[str, Any]:
    return run("08_pump_classification").figures


def test_every_notebook_is_executed_here_or_beside() -> None:
    assert names() == sorted(QUICK) == sorted((*NAMES, *test_detector_notebooks.NAMES))


class TestClassificationBenchmark:
    def test_the_flags_are_the_label_and_the_published_rules_are_the_flags(self, benchmark: dict[str, Any]) -> None:
        assert benchmark["or_of_flags_f1"] > 0.98
        assert benchmark["rule_disagreements"] == 0
        assert benchmark["rules"]["precision"] == 1

    def test_honest_features_pass_the_leak_test_and_whatever_is_made_of_the_flags_fails_it(
        self, benchmark: dict[str, Any]
    ) -> None:
        found = {name: test["unforeseeable_found"] for name, test in benchmark["leak_test"].items()}
        honest = [share for name, share in found.items() if name.startswith("honest")]
        leaked = [share for name, share in found.items() if name.startswith("leak")]
        assert len(honest) == len(leaked) == 2
        assert max(honest) < 0.3 < benchmark["leak_limit"] < min(leaked)

    def test_permuted_labels_and_random_features_get_what_chance_gives(self, benchmark: dict[str, Any]) -> None:
        chance = benchmark["chance"]
        assert chance["permuted_max"] < 0.1
        assert chance["noise"] < 0.1
        assert chance["real"] > 0.8

    def test_physics_helps_beyond_its_interval_and_no_model_is_too_good_to_be_true(
        self, benchmark: dict[str, Any]
    ) -> None:
        assert 0.85 < benchmark["random_forest_physical"]["ap"] < 0.95
        assert benchmark["physics_gain"]["low"] > 0
        assert benchmark["dummy"]["ap"] == pytest.approx(benchmark["prevalence"], abs=0.005)
        assert max(benchmark["best_f1"].values()) < benchmark["rules"]["f1"]

    def test_forest_and_lightgbm_differ_by_less_than_what_the_features_bring(self, benchmark: dict[str, Any]) -> None:
        forest, boosting = benchmark["random_forest_physical"], benchmark["LightGBM_physical"]
        assert 0.82 < boosting["ap"] < 0.92
        assert 0.97 < boosting["auc"] < 0.99
        assert abs(forest["auc"] - boosting["auc"]) < 0.02
        assert benchmark["forest_over_boosting"]["low"] > 0 > benchmark["forest_over_boosting_measured"]["mean"]
        between = max(abs(benchmark[f"forest_over_boosting{which}"]["mean"]) for which in ("", "_measured"))
        assert between < min(benchmark["physics_gain"]["mean"], benchmark["physics_gain_boosting"]["mean"])

    def test_a_threshold_is_chosen_inside_the_folds_and_one_read_off_the_test_flatters(
        self, benchmark: dict[str, Any]
    ) -> None:
        assert 0.84 < benchmark["random_forest_physical"]["f1"] < 0.92
        assert 0.80 < benchmark["LightGBM_physical"]["f1"] < 0.88
        assert min(benchmark["f1_optimism"].values()) > 0
        assert max(benchmark["f1_optimism"].values()) < 0.05
        assert benchmark["random_forest_measured"]["f1"] > benchmark["f1_at_half"]["random_forest_measured"] + 0.03

    def test_one_test_set_gives_whatever_the_draw_gives(self, benchmark: dict[str, Any]) -> None:
        splits = benchmark["single_splits"]
        assert all(one["high"] - one["low"] > 0.05 for one in splits.values())
        assert abs(splits["random_forest_physical"]["median"] - 0.89) < 0.03
        assert abs(splits["random_forest_measured"]["low"] - 0.66) < 0.08

    def test_inner_folds_calibrate_the_forest(self, benchmark: dict[str, Any]) -> None:
        error, skill = benchmark["calibration_error"], benchmark["brier_skill"]
        forest = "random_forest_physical"
        assert error[f"{forest}_calibrated"] < error[f"{forest}_as_it_is"]
        assert skill[f"{forest}_calibrated"] > 0.7
        assert skill["logistic_regression_physical_as_it_is"] < 0.4
        assert benchmark["forest_calibration"]["failed"] < benchmark["forest_calibration"]["said"]

    def test_what_luck_made_is_not_found(self, benchmark: dict[str, Any]) -> None:
        found = benchmark["found_by_cause"]
        assert min(found["power_PWF"], found["overstrain_OSF"], found["heat_HDF"]) > 0.95
        assert max(found["tool_wear_TWF"], found["no_cause_given"]) < 0.4

    def test_on_later_cycles_measured_columns_alone_fall_and_physics_holds(self, benchmark: dict[str, Any]) -> None:
        later = benchmark["blocks"]
        assert later["random_forest_measured"]["in_blocks"] < later["random_forest_measured"]["shuffled"] - 0.1
        assert later["random_forest_physical"]["in_blocks"] > 0.8


class TestPumpClassification:
    def test_trees_on_plain_readings_name_the_day_and_signatures_do_not(self, pumps: dict[str, Any]) -> None:
        assert pumps["trees_on_plain_readings"]["healthy_rows_recording_left_out"] > 0.9
        assert pumps["signatures_no_rejection"]["healthy_rows_recording_left_out"] < 0.6

    def test_no_left_out_recording_is_named_wrongly_and_low_flow_is_told_from_imbalance(
        self, pumps: dict[str, Any]
    ) -> None:
        assert pumps["recordings"] == 10
        assert pumps["rig_three_names"]["wrong"] == pumps["rig_two_names"]["wrong"] == 0
        assert pumps["rig_two_names"]["right"] >= 8
        assert pumps["rig_alarms"]["wrong"] == 0
        assert pumps["permutation_p"] < 0.05

    def test_a_new_fault_of_the_rig_is_unknown_only_where_it_moves_other_sensors(self, pumps: dict[str, Any]) -> None:
        unknown = pumps["rig_unseen_unknown"]
        assert unknown["rotor_imbalance"] > 0.95
        assert unknown["closing_valve"] < 0.5

    def test_emulated_faults_are_named_on_pumps_never_learned_from(self, pumps: dict[str, Any]) -> None:
        first, last = pumps["pumps_first_alarm"], pumps["pumps_last_alarm"]
        assert pumps["lives_without_alarm"] == 0
        assert last["right"] > 0.6
        assert last["right"] + last["narrowed"] > 0.85
        assert first["right"] > 0.5
        assert max(first["wrong"], last["wrong"]) < 0.06

    def test_a_likeness_is_no_probability(self, pumps: dict[str, Any]) -> None:
        nine = pumps["at_nine"]
        assert nine["rig_two_names_recordings"]["right"] > 0.9
        assert nine["rig_three_names_recordings"]["right"] < 0.7
        assert nine["emulated_pumps"]["right"] > 0.85
        assert nine["emulated_of_those_given_a_name_pumps"]["right"] > 0.9
        for one in nine.values():
            assert one["observations"] >= 8
            assert one["low"] < one["right"] <= one["high"]

    def test_lightgbm_finds_the_two_names_as_well_and_never_says_that_it_does_not_know(
        self, pumps: dict[str, Any]
    ) -> None:
        rivals = pumps["lightgbm_by_recording"]
        assert rivals["departures_20_rows_two_names"]["verdicts"] >= 9
        assert rivals["departures_20_rows_three_names"]["healthy"] > 1 / 3
        assert rivals["departures_20_rows_three_names"]["sure_and_wrong"] > 0.05
        assert min(pumps["rig_unseen_lightgbm_sure"].values()) > 0.8

    def test_lightgbm_is_right_and_wrong_more_often_and_names_what_has_no_name(self, pumps: dict[str, Any]) -> None:
        for alarm in ("first_alarm", "last_alarm"):
            trees, signatures = pumps[f"beside_LightGBM_{alarm}"], pumps[f"beside_signatures_{alarm}"]
            assert trees["right"] > signatures["right"]
            assert trees["wrong"] >= signatures["wrong"]
        refused = pumps["refused_without_a_name"]
        assert refused["signatures"] > 0.8
        assert refused["LightGBM_0_9_and_more"] < 0.7

    def test_a_planned_stop_is_no_fault_and_signatures_do_not_travel_from_emulator_to_rig(
        self, pumps: dict[str, Any]
    ) -> None:
        assert pumps["alarms_at_planned_stops"] == 0
        assert pumps["transfer"]["wrong"] == 0
        assert pumps["transfer"]["unknown"] >= 6

    def test_the_classifier_that_was_judged_is_kept_with_the_run(self, run: Run) -> None:
        kept = (run("08_pump_classification").executed.parent / "classifier.json").read_bytes()
        faults = {signature.fault for signature in Classifier.from_bytes(kept).signatures}
        assert faults == {"bearing_wear", "blocked_valve", "cavitation", "imbalance", "overheating"}


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_it_is_a_run_in_mlflow_with_the_hash_of_its_data(self, run: Run, name: str) -> None:
        is_a_run_in_mlflow(run(name), name)

    def test_it_renders_with_its_summary_first_and_small_pictures(self, run: Run, name: str, tmp_path: Path) -> None:
        renders_for_reading(run(name), tmp_path)
