"""What the commands about models say: a trial's table, a model's lineage, and which period a person means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from cloud.storage.backtests import BacktestRecord, PastAlarm
from cloud.storage.model_versions import LeftOut, ModelVersion, Status
from cloud.storage.shadow_scores import ShadowScore
from cloud.storage.verdicts import Precision
from contract.events import ModelRefusedEvent
from ronda.ask import remark_on
from ronda.cli import app
from ronda.installation import InstallationError
from ronda.training.lineage import Lineage, lines
from ronda.training.moves import judged, told
from ronda.training.spans import moment_ms, shown, spans_ms
from ronda.training.train import asked_past
from ronda.training.train import told as told_of_training

AT_MS = 1_763_800_000_000
MODEL = ModelVersion(
    site="plant-1", device="pump-01", version="2", name="ronda.plant-1.pump-01", run_id="run-2", sha256="5" * 64,
    data_hash="d" * 8, artifact_uri="s3://models/2", rows=3600, trained_from_ms=AT_MS, trained_through_ms=AT_MS,
    created_at_ms=AT_MS, code_version="0.1.0", exceedance=0.012, factor=2.5, status=Status.CHAMPION,
    excluded=[LeftOut(from_ms=AT_MS, through_ms=AT_MS + 60_000, why="confirmed alarm")],
)  # fmt: skip


def trial(**changes: Any) -> BacktestRecord:
    facts: Mapping[str, Any] = {
        "id": "t", "site": "plant-1", "device": "pump-01", "version": "2", "against": "1", "from_ms": AT_MS,
        "through_ms": AT_MS, "readings": 7200, "appeared": [], "kept": 4, "decision": "refuse",
        "vanished": [
            PastAlarm(since_ms=AT_MS, cleared_ms=None, severity="critical", peak=2.6, sensor="flow_lpm",
                      anomaly_id="a1b2", verdict="true")
        ],
        "reason": "confirmed_alarm_vanishes: 1 confirmed alarms would not be raised any more: a1b2", "at_ms": AT_MS,
    }  # fmt: skip
    return BacktestRecord(**dict(facts) | changes)


def test_a_trial_is_told_alarm_by_alarm_with_the_decision_and_its_reason() -> None:
    head, _, alarm, counts, decision = told(trial())
    assert head == (
        "plant-1/pump-01: version 2 against version 1, 7,200 readings "
        "from 2025-11-22 08:26:40 through 2025-11-22 08:26:40 UTC"
    )
    assert alarm.split() == ["vanishes", "2025-11-22", "08:26:40", "now", "2.60", "true", "flow_lpm", "a1b2"]
    assert counts.strip() == "0 would appear, 1 vanish, 4 stay"
    assert decision.strip().startswith("refuse: confirmed_alarm_vanishes")
    assert len(list(told(trial(vanished=[])))) == 3


def test_a_lineage_goes_from_the_model_over_its_run_to_its_data() -> None:
    hour = ShadowScore(
        site="plant-1", device="pump-01", version="2", champion="1", from_ms=0, through_ms=1, rows=3600,
        beyond_both=3, beyond_champion=9, beyond_challenger=4,
    )  # fmt: skip
    said = "\n".join(
        lines(Lineage(model=MODEL, precision=Precision(true=4, false=1), backtest=trial(), shadow=[hour, hour]))
    )
    for fact in (
        "ronda.plant-1.pump-01 version 2, champion", "sha256 555", "run-2, ronda 0.1.0", "3,600 readings", "hash dddd",
        "left out 2025-11-22 08:26:40 through 2025-11-22 08:27:40: confirmed alarm", "1.2% of the last third",
        "4 of 5 (80%) alarms right", "1 vanish, 4 stay; refuse: confirmed_alarm_vanishes",
        "7,200 readings beside the champion, beyond the limit of both 6, of the champion 18, of this one 8",
    ):  # fmt: skip
        assert fact in said


def lineage(**changes: Any) -> str:
    return "\n".join(lines(Lineage(model=MODEL, precision=Precision(), backtest=None, shadow=[], **changes)))


def test_a_lineage_says_which_version_really_judges() -> None:
    this = MODEL.promotion(1).event.model
    other = msgspec.structs.replace(this, version="1", sha256="1" * 64)
    assert "judging    this version judges the machine now" in lineage(judging=this)
    assert "judging    version 1 judges the machine now, although this one is in force" in lineage(judging=other)
    assert "judging    no version judges this machine now" in lineage()
    assert "refused" not in lineage(judging=this)


def test_a_lineage_says_that_the_model_was_refused_and_what_went_on() -> None:
    this = MODEL.promotion(1).event.model
    other = msgspec.structs.replace(this, version="1", sha256="1" * 64)
    for in_use, went_on in (
        (other, "version 1 went on"), (this, "a sound copy of it went on"), (None, "no other version was in use")
    ):  # fmt: skip
        refusal = ModelRefusedEvent(
            site="plant-1", device="pump-01", model=this, in_use=in_use, why="it was changed", at_ms=AT_MS
        )
        assert f"refused    2025-11-22 08:26:40 UTC: it was changed; {went_on}" in lineage(refusal=refusal)


def test_what_became_of_a_training_is_one_line() -> None:
    assert told_of_training(MODEL, None, MODEL.promotion(1)).endswith("is champion, run run-2")
    assert "is refused by its back-test: confirmed_alarm" in told_of_training(MODEL, trial(), None)
    waits = told_of_training(MODEL, trial(decision="wait"), None)
    assert waits.endswith("challenges the champion; `ronda model promote plant-1/pump-01 2` promotes it")


def test_precision_is_told_once_somebody_judged() -> None:
    assert judged(Precision(planned=3)) == "not judged"
    assert judged(Precision(true=2, false=1)) == "2 of 3 (67%)"


def test_a_lineage_says_so_while_nobody_judged() -> None:
    said = "\n".join(lines(Lineage(model=MODEL, precision=Precision(planned=3), backtest=None, shadow=[])))
    assert "precision  no alarm of this version was judged true or false yet, 3 were planned work" in said


def test_a_cause_may_be_a_name_of_ones_own_and_a_slip_of_the_finger_is_remarked_on() -> None:
    assert remark_on("bearing_wear") == ""
    assert remark_on("clogged_filter") == "clogged_filter is a name of your own, and is learned as such"
    assert remark_on("baering_wear").endswith("if you meant bearing_wear, give the verdict again")


def test_moments_are_utc_unless_they_say_otherwise() -> None:
    assert moment_ms("2025-11-22T08:26:40", "--from") == AT_MS
    assert moment_ms("2025-11-22T05:26:40-03:00", "--from") == AT_MS
    assert moment_ms(str(AT_MS), "--from") == AT_MS
    assert shown(AT_MS) == "2025-11-22 08:26:40"
    with pytest.raises(InstallationError, match="--from 'yesterday' is no time, such as"):
        moment_ms("yesterday", "--from")


@pytest.mark.parametrize("text", ["2025-11-22T08:00", "2025-11-22T08:00..", "..", "2025-11-22T09:00..2025-11-22T08:00"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InstallationError, match="--exclude"):
        spans_ms([text], "--exclude")


def test_a_period_is_about_machines_that_are_named() -> None:
    past = asked_past("2025-11-22T08:26:40", None, [f"{AT_MS}..{AT_MS + 1}"], named=True)
    assert (past.from_ms, past.marked) == (AT_MS, ((AT_MS, AT_MS + 1),))
    with pytest.raises(InstallationError, match="name them, SITE/DEVICE"):
        asked_past("2025-11-22T08:26:40", None, [], named=False)


@pytest.mark.parametrize(
    "command", ["backtest", "verdict", "model list", "model show", "model promote", "model rollback", "model drift"]
)
def test_every_command_explains_itself(command: str) -> None:
    answer = CliRunner().invoke(app, [*command.split(), "--help"])
    assert answer.exit_code == 0
    assert "--data" in answer.output
