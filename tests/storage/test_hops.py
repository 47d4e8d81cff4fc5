from __future__ import annotations

from cloud.storage.database import Database
from cloud.storage.hops import HopStore
from contract.events import HopEvent


def _hop(station: str, at_ms: float) -> HopEvent:
    return HopEvent(
        site="plant-1", device="demo-1", correlation_id="click-1", station=station, at_ms=at_ms, readings=60,
        did="stored", detail={"bytes": 512, "codec": "json", "ms": 0.25},
    )  # fmt: skip


async def test_the_way_of_a_message_is_told_in_order_and_each_hop_once(database: Database) -> None:
    store, hops = HopStore(database), [_hop("historian", 2.5), _hop("validation", 1.25)]
    await store.store(hops)
    await store.store([*hops, _hop("validation", 1.25)])
    await store.store([])
    assert await store.by_correlation("click-1") == [hops[1], hops[0]]
    assert await store.by_correlation("click-2") == []
