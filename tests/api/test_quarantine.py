"""Refused, looked at, mended, replayed: stored once, counted once, and refused again with the new reason."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import pytest

from broker.memory import MemoryBroker
from cloud.api.ports import Parts
from cloud.storage.readings import ReadingStore
from contract.errors import ContractError, TransientError
from contract.events import ReadingRejectedEvent
from contract.plausibility import Metric
from contract.telemetry import encode
from ronda import ask_quarantine as command
from ronda.client import ApiError, RondaClient
from tests.api.conftest import bearer
from tests.support.readings import BOOT, rejected

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "ronda/v1/plant-1/pump-07/telemetry"
PUMP = ("plant-1", "pump-07")


class Plant:
    """A pump behind the door, with the real acquisition, validation and Historian."""

    def __init__(self, parts: Parts, broker: MemoryBroker, ronda: RondaClient) -> None:
        assert isinstance(parts.readings, ReadingStore)
        self.readings = parts.readings
        self.ronda = ronda
        self._bus = broker.bus("plant-1/pump-07", persistent=False)

    async def __aenter__(self) -> Self:
        await self._bus.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.__aexit__(None, None, None)

    async def send(self, *payloads: bytes) -> None:
        await self._bus.publish([(TOPIC, payload) for payload in payloads])

    async def waiting(self, count: int, within_s: float = 10.0) -> list[dict[str, Any]]:
        """What waits, once that is so many."""
        found: list[dict[str, Any]] = []

        async def look() -> bool:
            found[:] = (await self.ronda.quarantine())["items"]
            return len(found) == count

        end = time.monotonic() + within_s
        while not await look():
            assert time.monotonic() < end, found
        return found

    async def accounted(self, *expected: int | None) -> None:
        """Wait until the account is this."""
        end = time.monotonic() + 10
        while (found := await self.account()) != expected:
            assert time.monotonic() < end, found

    async def account(self) -> tuple[int, int, int | None]:
        """(stored, rejected, lost)."""
        [line] = (await self.ronda.ledger())["items"]
        assert line["sent"] in (None, sum(line[name] or 0 for name in ("stored", "rejected", "pending", "lost")))
        return line["stored"], line["rejected"], line["lost"]


@pytest.fixture
async def plant(parts: Parts, broker: MemoryBroker, ronda: RondaClient, chain: None) -> AsyncIterator[Plant]:
    await parts.devices.ensure(*PUMP, "provisioned", now_ms=0, metrics=[Metric(name="a", low=0.0, high=10.0)])
    async with Plant(parts, broker, ronda) as made:
        yield made


def one(seq: int | None, value: float, at_ms: int = NOW_MS) -> bytes:
    return encode(None if seq is None else BOOT, [(seq, at_ms + (seq or 0), {"a": value})])


async def test_widened_ranges_let_a_refused_reading_in_once(plant: Plant):
    await plant.send(one(0, 5.0), one(1, 50.0), one(2, 5.0))
    [entry] = await plant.waiting(1)
    assert (entry["reason"], entry["seq"], entry["stage"]) == ("out_of_range", 1, "validation")
    await plant.accounted(2, 1, 0)
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 100}])
    answer = await plant.ronda.replay(ids=[entry["id"]])
    assert answer == {
        "items": [{"id": entry["id"], "fate": "stored", "readings": 1, "reason": None, "detail": ""}],
        "next": None,
    }
    assert await plant.account() == (3, 0, 0)
    row = await plant.readings.find(*PUMP, BOOT, 1)
    assert row is not None
    assert (row.values, row.measured_at_ms, row.replayed) == ({"a": 50.0}, NOW_MS + 1, True)
    assert await plant.waiting(0) == []
    assert (await plant.ronda.refusal(entry["id"]))["settled"]
    # Asked again, nothing changes.
    assert (await plant.ronda.replay(ids=[entry["id"]]))["items"][0]["fate"] == "stored"
    assert await plant.account() == (3, 0, 0)


async def test_what_is_refused_again_stays_with_the_new_reason_and_its_bytes(plant: Plant, parts: Parts):
    await plant.send(one(0, 50.0))
    [entry] = await plant.waiting(1)
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 20}])
    [outcome] = (await plant.ronda.replay(device="pump-07"))["items"]
    assert (outcome["fate"], outcome["detail"]) == ("refused", "a 50.0  is outside 0.0 to 20.0")
    [still] = await plant.waiting(1)
    assert (still["id"], still["detail"]) == (entry["id"], outcome["detail"])
    assert still["replayed_at"] is not None
    kept = await parts.quarantine.get(entry["id"])
    assert kept is not None
    assert kept.payload == one(0, 50.0)
    assert await plant.account() == (0, 1, 0)


async def test_one_reading_of_a_batch_goes_back_with_the_identity_it_had(plant: Plant):
    at = NOW_MS + 10
    batch = b'{"boot":"%s","readings":[{"seq":0,"ts":%d,"values":{"a":1}},{"seq":1,"ts":%d,"values":{"a":[]}}]}'
    await plant.send(batch % (BOOT.encode(), at, at))
    [entry] = await plant.waiting(1)
    assert entry["beginning"] == f'{{"seq":1,"ts":{at},"values":{{"a":[]}}}}'
    await plant.accounted(1, 1, 0)
    [outcome] = (await plant.ronda.replay(ids=[entry["id"]]))["items"]
    assert (outcome["fate"], outcome["reason"]) == ("refused", "wrong_shape")
    assert "boot and seq" not in outcome["detail"]
    assert await plant.account() == (1, 1, 0)


async def test_a_newer_decoder_lets_a_whole_message_in(plant: Plant, monkeypatch: pytest.MonkeyPatch):
    """What the decoder of today cannot read, that of tomorrow does."""
    payload = encode(BOOT, [(seq, NOW_MS + seq, {"a": 1.0 + seq}) for seq in range(3)])

    def yesterday(*_: object) -> None:
        raise ContractError("malformed_json", "not known yet")  # type: ignore[arg-type]  # its text

    with monkeypatch.context() as old:
        old.setattr("cloud.agents.acquisition.columns", lambda _: None)
        old.setattr("cloud.agents.acquisition.decode", yesterday)
        await plant.send(payload)
        [entry] = await plant.waiting(1)
    [line] = (await plant.ronda.ledger())["items"]
    assert (line["rejected"], line["unnumbered"]) == (1, 1)
    [outcome] = (await plant.ronda.replay(reason="malformed_json"))["items"]
    assert (outcome["id"], outcome["fate"], outcome["readings"]) == (entry["id"], "stored", 3)
    [line] = (await plant.ronda.ledger())["items"]
    assert (line["sent"], line["stored"], line["rejected"], line["unnumbered"]) == (3, 3, 0, 0)


async def test_of_a_device_without_a_counter_one_more_is_stored_and_one_fewer_refused(plant: Plant):
    await plant.send(one(None, 5.0), one(None, 50.0), one(None, 51.0))
    await plant.waiting(2)
    await plant.accounted(1, 2, None)
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 50}])
    fates = [item["fate"] for item in (await plant.ronda.replay(site="plant-1"))["items"]]
    assert sorted(fates) == ["refused", "stored"]
    assert await plant.account() == (2, 1, None)
    await plant.ronda.replay(site="plant-1")
    assert await plant.account() == (2, 1, None)


async def test_killed_after_the_door_and_before_the_word_the_same_may_be_asked_again(plant: Plant, parts: Parts):
    await plant.send(one(None, 50.0), one(0, 50.0))
    await plant.waiting(2)
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 100}])
    # What a replay that was killed leaves: the readings went through, and nobody settled the entries.
    end = time.monotonic() + 10
    while (await plant.account())[0] < 2:
        await plant.send(one(None, 50.0), one(0, 50.0))
        assert time.monotonic() < end
    assert await plant.account() == (2, 1, None)
    answer = await plant.ronda.replay(device="pump-07")
    assert [item["fate"] for item in answer["items"]] == ["stored"]
    assert await plant.account() == (2, 0, None)
    assert await plant.readings.count(*PUMP) == 2


async def test_a_reading_that_contradicts_what_is_stored_is_refused_again_without_a_second_entry(plant: Plant):
    await plant.send(one(0, 5.0))
    await plant.send(one(0, 6.0))
    [entry] = await plant.waiting(1)
    assert entry["reason"] == "identity_conflict"
    [outcome] = (await plant.ronda.replay(ids=[entry["id"]]))["items"]
    assert (outcome["fate"], outcome["reason"]) == ("refused", "identity_conflict")
    await plant.waiting(1)
    assert await plant.account() == (1, 0, 0)


async def test_a_block_that_an_agent_stumbled_over_becomes_telemetry_again(plant: Plant):
    block = {
        "site": PUMP[0], "device": PUMP[1], "boot": BOOT, "received_at_ms": NOW_MS, "metrics": ["a"],
        "seq": [4, 5], "measured_at_ms": [NOW_MS, NOW_MS + 1], "values": [[1.0, 2.0]],
    }  # fmt: skip
    stumbled = _stumbled("ronda-chain/v1/ingested/+", msgspec.json.encode(block))
    await plant.readings.store([], [stumbled])
    [outcome] = (await plant.ronda.replay(ids=[stumbled.id]))["items"]
    assert (outcome["fate"], outcome["readings"]) == ("stored", 2)
    [line] = (await plant.ronda.ledger())["items"]
    assert (line["stored"], line["unnumbered"]) == (2, 0)


def _stumbled(topic: str, payload: bytes) -> ReadingRejectedEvent:
    return rejected(None, topic=topic, payload=payload, reason="internal_error", stage="validation")


async def test_what_never_was_a_devices_message_has_no_door(plant: Plant):
    odd = [_stumbled("ronda/v1/+/+/anomaly", b"{}"), _stumbled("ronda/v1/plant-1/pump-07/status", b"{}")]
    await plant.readings.store([], odd)
    answer = await plant.ronda.replay(reason="internal_error")
    assert {item["fate"] for item in answer["items"]} == {"impossible"}
    assert not (await plant.ronda.refusal(odd[0].id))["replayable"]


async def test_more_than_one_request_takes_goes_on_where_it_ended(plant: Plant):
    await plant.send(*(one(seq, 50.0) for seq in range(250)))
    entries = 0
    while entries < 250:
        entries = (await plant.ronda.quarantine(limit=1))["totals"]["waiting"]
    first = await plant.ronda.replay(device="pump-07")
    assert (len(first["items"]), first["next"] is not None) == (200, True)
    rest = await plant.ronda.replay(device="pump-07", cursor=first["next"])
    assert (len(rest["items"]), rest["next"]) == (50, None)
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 250


async def test_the_broker_away_is_told_and_nothing_is_settled(plant: Plant, parts: Parts, app, monkeypatch):
    await plant.send(one(0, 50.0))
    await plant.waiting(1)
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 100}])

    async def away(*_: object, **__: object) -> None:
        raise TransientError("gone")

    monkeypatch.setattr(app.state.services.replaying, "_bus", type("Away", (), {"publish": staticmethod(away)}))
    with pytest.raises(ApiError, match="the broker did not take the messages") as refused:
        await plant.ronda.replay(device="pump-07")
    assert refused.value.status == 503
    assert await plant.account() == (0, 1, 0)
    await plant.waiting(1)


async def test_an_entry_is_shown_harmless_with_what_to_do(plant: Plant):
    await plant.send(b"<img src=x onerror=alert(1)>\x1b[31m not JSON at all")
    [entry] = await plant.waiting(1)
    assert entry["beginning"] == "\\x3cimg src=x onerror=alert(1)\\x3e\\x1b[31m not JSON at all"
    shown = await plant.ronda.refusal(entry["id"])
    assert shown["payload"]["text"] == entry["beginning"]
    assert shown["advice"].startswith("the bytes are no JSON")
    with pytest.raises(ApiError, match="may have been archived"):
        await plant.ronda.refusal("0" * 32)


async def test_archived_entries_leave_the_list_and_stay_counted(plant: Plant):
    await plant.send(one(0, 50.0))
    await plant.waiting(1)
    assert (await plant.ronda.archive(stage="validation"))["archived"] == 1
    page = await plant.ronda.quarantine(state="all")
    assert (page["items"], page["totals"]["archived"]) == ([], 1)
    assert await plant.account() == (0, 1, 0)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "name ids, or say which"),
        ({"everything": True}, "unknown field"),
        ({"ids": ["x"] * 201}, "length <= 200"),
        ({"device": "d", "cursor": "nowhere"}, "is none of ours"),
        ({"ids": "x"}, "Expected `array | null`"),
    ],
)
@pytest.mark.parametrize("path", ["replay", "archive"])
async def test_all_of_everything_is_not_asked_for_by_leaving_words_out(
    http: httpx.AsyncClient, body: Any, why: str, path: str
):
    if "cursor" in body and path == "archive":
        return
    answer = await http.post(f"/api/v1/quarantine/{path}", json=body, headers=bearer("devices:write"))
    assert answer.status_code == 422, answer.text
    assert why in answer.json()["detail"]


async def test_ranges_change_by_name_and_refuse_what_no_reading_could_keep(plant: Plant):
    ronda = plant.ronda
    changed = await ronda.change_metrics(*PUMP, [{"name": "a", "low": None, "unit": "g"}, {"name": "b", "low": 1}])
    assert changed["items"] == [{"name": "a", "unit": "g", "high": 10.0}, {"name": "b", "low": 1.0}]
    assert await ronda.metrics(*PUMP) == changed
    for bad, why in [
        ({"name": "a", "low": 11}, "low 11 must be below high 10"),
        ({"name": "a\n"}, "must be 1 to 64 printable"),
        ({"name": "a", "hihg": 1}, "unknown field"),
    ]:
        with pytest.raises(ApiError, match=why):
            await ronda.change_metrics(*PUMP, [bad])
    with pytest.raises(ApiError, match="is in service"):
        await ronda.change_metrics("plant-1", "nobody", [])
    assert await ronda.metrics(*PUMP) == changed


async def test_the_command_lists_shows_mends_replays_and_archives(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @contextlib.asynccontextmanager
    async def as_admin(_: Path) -> AsyncIterator[RondaClient]:
        yield plant.ronda

    monkeypatch.setattr(command, "as_admin", as_admin)
    await plant.send(one(0, 50.0), one(1, 51.0), b"\xff\xfe")
    entries = await plant.waiting(3)
    data = Path()
    await command.list_entries(data, {}, "waiting", 50, as_json=False)
    said = capsys.readouterr().out
    assert "3 wait, 0 are settled, 0.0 MB; 0 archived in 0 archives" in said
    assert "2  plant-1/pump-07  validation  out_of_range" in said
    [odd] = [entry for entry in entries if entry["stage"] == "acquisition"]
    await command.show_entry(data, odd["id"], as_json=False)
    assert "00000000  ff fe" in capsys.readouterr().out
    await command.change_ranges(data, "plant-1/pump-07", ["a:high=any"])
    assert capsys.readouterr().out == f"{'a':<28} 0 to any\n"
    await command.replay_entries(data, command.chosen_by([], "plant-1/pump-07", "validation", None), as_json=False)
    assert "2 stored, 0 refused, 0 pending, 0 impossible" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        await command.replay_entries(data, command.chosen_by([odd["id"]], None, None, None), as_json=False)
    await command.archive_entries(data, command.chosen_by([odd["id"]], None, None, None))
    assert capsys.readouterr().out.splitlines()[-2].startswith("1 archived")
    assert await plant.account() == (2, 0, 0)


async def test_an_archive_is_replayed_by_its_file_under_the_same_identities(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    @contextlib.asynccontextmanager
    async def as_admin(_: Path) -> AsyncIterator[RondaClient]:
        yield plant.ronda

    monkeypatch.setattr(command, "as_admin", as_admin)
    await plant.send(one(0, 50.0), one(1, 5.0), one(2, 51.0), one(None, 52.0))
    await plant.waiting(3)
    [name] = (await plant.ronda.archive(device="pump-07"))["archives"]
    await plant.ronda.change_metrics(*PUMP, [{"name": "a", "high": 100}])
    # The device sent one of them again, and it was taken.
    await plant.send(one(0, 50.0))
    before = (await plant.ronda.quarantine(state="all"))["items"]
    assert before == []
    await command.replay_archive(Path(), Path("somewhere") / name, as_json=False)
    assert "3 stored, 0 refused, 0 pending, 0 impossible" in capsys.readouterr().out
    assert await plant.account() == (4, 0, None)
    row = await plant.readings.find(*PUMP, BOOT, 2)
    assert row is not None
    assert (row.values, row.replayed) == ({"a": 51.0}, True)
    assert (await plant.ronda.quarantine())["items"] == []
    with pytest.raises(ApiError, match="what an archive gave back before is in the quarantine"):
        await command.replay_archive(Path(), Path(name), as_json=False)
    assert await plant.account() == (4, 0, None)


@pytest.mark.parametrize("text", ["", ":low=1", "a:low=x", "a:lo=1", "a:low"])
def test_a_change_that_cannot_be_read_is_told_with_an_example(text: str):
    with pytest.raises(command.ChoiceError, match="such as temperature_c:low=-40"):
        command.parsed_change(text)


def test_a_change_says_only_what_is_to_be_otherwise():
    assert command.parsed_change("a") == {"name": "a"}
    assert command.parsed_change("a:high=any,unit=m/s") == {"name": "a", "high": None, "unit": "m/s"}
