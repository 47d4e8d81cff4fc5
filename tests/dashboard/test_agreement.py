"""What the pages read is what the API writes: field by field, so that neither can drift alone."""

from __future__ import annotations

import inspect
import types
import typing

import msgspec
import pytest

from cloud.api import charts, fleet, story, views
from cloud.notifications import mailbox
from cloud.storage import reading_blocks
from contract.events import SensorEvidence, Window
from dashboard import facts
from dashboard.asks import Asks
from ronda.client import RondaClient

PAIRS = [
    (facts.Device, fleet.DeviceView),
    (facts.Model, fleet.FleetModel),
    (facts.Anomaly, views.AnomalyDetail),
    (facts.Sensor, SensorEvidence),
    (facts.Window, Window),
    (facts.Notification, views.NotificationView),
    (facts.Trace, story.Story),
    (facts.Step, story.Step),
    (facts.Series, charts.Series),
    (facts.Balance, reading_blocks.Ledger),
    (facts.MailSummary, mailbox.Summary),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda each: each.__name__)
def test_every_field_that_a_page_reads_is_written(ours: type[msgspec.Struct], theirs: type[msgspec.Struct]) -> None:
    assert set(ours.__struct_fields__) <= set(theirs.__struct_fields__)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda each: each.__name__)
def test_what_may_be_missing_is_expected_to_be(ours: type[msgspec.Struct], theirs: type[msgspec.Struct]) -> None:
    written, read = typing.get_type_hints(theirs), typing.get_type_hints(ours)
    surprised = [
        name for name in ours.__struct_fields__ if _may_be_none(written[name]) and not _may_be_none(read[name])
    ]
    assert surprised == []


def test_the_client_answers_everything_that_the_pages_ask() -> None:
    asked = {name: call for name, call in vars(Asks).items() if inspect.iscoroutinefunction(call)}
    for name, call in asked.items():
        known = inspect.signature(getattr(RondaClient, name)).parameters
        assert set(inspect.signature(call).parameters) <= set(known), name


def _may_be_none(hint: object) -> bool:
    return isinstance(hint, types.UnionType) and types.NoneType in typing.get_args(hint)
