"""What agents say: events of this and of the first release are understood, and others are refused with these words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from contract import codec
from contract.errors import ContractError
from contract.events import Event

FOLDER = Path(__file__).parent / "golden" / "events"
KINDS = {kind.__name__: kind for kind in codec.EVENTS}


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """One event as sent; of an accepted one some fields by their path, of a refused one the words."""

    what: str
    kind: str
    event: dict[str, Any]
    expect: dict[str, Any] = {}
    refusal: str = ""

    def decode(self) -> Event:
        (event,) = codec.decode_events(KINDS[self.kind], msgspec.json.encode(self.event))
        return event


def goldens(folder: str) -> list[Any]:
    files = sorted((FOLDER / folder).glob("*.json"))
    return [pytest.param(msgspec.json.decode(file.read_bytes(), type=Golden), id=file.stem) for file in files]


@pytest.mark.parametrize("golden", goldens("accepted"))
def test_an_event_of_any_release_is_understood(golden: Golden) -> None:
    event = msgspec.to_builtins(golden.decode())
    whole = msgspec.to_builtins(everything(golden.decode()))
    assert event["site"] == golden.event["site"]
    assert {path: at(whole, path) for path in golden.expect} == golden.expect


@pytest.mark.parametrize("golden", goldens("accepted"))
def test_what_is_as_ever_is_left_out_when_it_is_said_again(golden: Golden) -> None:
    ((_, payload),) = codec.encode_events([golden.decode()])
    known = {name: value for name, value in golden.event.items() if name in KINDS[golden.kind].__struct_fields__}
    assert msgspec.json.decode(payload) == known


@pytest.mark.parametrize("golden", goldens("refused"))
def test_an_event_that_is_none_is_refused_with_these_words(golden: Golden) -> None:
    with pytest.raises(ContractError) as refusal:
        golden.decode()
    assert refusal.value.detail == golden.refusal


def everything(value: Any) -> Any:
    """The same with the fields that have their default, which are not sent."""
    if isinstance(value, msgspec.Struct):
        return {name: everything(getattr(value, name)) for name in value.__struct_fields__}
    return [everything(item) for item in value] if isinstance(value, list) else value


def at(value: Any, path: str) -> Any:
    """What stands at `evidence.sensors.0.ratio`."""
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
