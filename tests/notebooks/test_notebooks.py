"""Each notebook runs from top to bottom on the data folder, and finds what its text says it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from detection.classifier import Classifier
from notebooks.execute import names
from notebooks.record import EXPERIMENT
from notebooks.render import MAX_PICTURE_BYTES, render
from notebooks.sources import sha256
from tests.notebooks.conftest import QUICK, Execution
from tests.support.datasets import datasets, recording

Run = Callable[[str], Execution]
# Each takes half a minute on two free cores; the usual limit is for tests that wait for something.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def benchmark(run: Run) -> dict[str, Any]:
    return run("05_classification_benchmark").figures


@pytest.fixture
def pumps(run: Run) -> dict[str, Any]:
    return run("08_pump_classification").figures


def test_every_notebook_is_executed_here() -> None:
    assert names() == sorted(QUICK)


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

    def test_a_planned_stop_is_no_fault_and_signatures_do_not_travel_from_emulator_to_rig(
        self, pumps: dict[str, Any]
    ) -> None:
        assert pumps["never_seen_unknown"]["planned_stop"] > 0.9
        assert pumps["transfer"]["wrong"] == 0
        assert pumps["transfer"]["unknown"] >= 6

    def test_the_classifier_that_was_judged_is_kept_with_the_run(self, run: Run) -> None:
        kept = (run("08_pump_classification").executed.parent / "classifier.json").read_bytes()
        faults = {signature.fault for signature in Classifier.from_bytes(kept).signatures}
        assert faults == {"bearing_wear", "blocked_valve", "cavitation", "imbalance", "overheating"}


@pytest.mark.parametrize("name", sorted(QUICK))
class TestEach:
    def test_it_is_a_run_in_mlflow_with_the_hash_of_its_data(self, run: Run, name: str) -> None:
        import mlflow

        done = run(name)
        client = mlflow.MlflowClient(tracking_uri=done.tracking_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], filter_string=f"attributes.run_name = '{name}'")
        files = [recording(file) for file in done.results["data"]["files"]]
        assert [one.data.tags["data_sha256"] for one in runs] == [sha256(files, datasets())]
        assert runs[0].info.status == "FINISHED"
        assert len(runs[0].data.metrics) > 20
        assert "results.json" in {artifact.path for artifact in client.list_artifacts(runs[0].info.run_id)}

    def test_it_renders_with_its_summary_first_and_small_pictures(self, run: Run, name: str, tmp_path: Any) -> None:
        page = render(run(name).executed, tmp_path)
        text = page.read_text(encoding="utf-8")
        assert text.index("**In short.**") < text.index("## ")
        assert run(name).results["data"]["sha256"] in text
        pictures = list((tmp_path / name).glob("*.png"))
        assert len(pictures) >= 5
        assert max(picture.stat().st_size for picture in pictures) <= MAX_PICTURE_BYTES
