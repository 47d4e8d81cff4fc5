"""What names faults, per site: learned from confirmed alarms, with what its bytes must hash to."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from cloud.storage.database import Database
from cloud.storage.tables import Classifier as Table


class Classifier(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier of a site's faults in force since `promoted_at_ms`; `learned`: alarms per fault."""

    site: str
    version: str
    name: str
    run_id: str
    sha256: str
    artifact_uri: str
    learned: dict[str, int]
    promoted_at_ms: int


class ClassifierStore:
    """Keeps classifiers; the newest of a site is in force."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def promote(self, classifier: Classifier) -> None:
        """Keep it; an earlier version again is the newest then."""
        row = msgspec.structs.asdict(classifier)
        again = insert(Table).values(row).on_conflict_do_update(index_elements=[Table.site, Table.version], set_=row)
        async with self._database.begin() as connection:
            await connection.execute(again)

    async def all_current(self) -> list[Classifier]:
        """The one in force of each site that has one, by site."""
        newest = select(Table.__table__).ext(distinct_on(Table.site))
        newest = newest.order_by(Table.site, Table.promoted_at_ms.desc(), Table.version.desc())
        async with self._database.begin() as connection:
            return [msgspec.convert(row._asdict(), Classifier) for row in await connection.execute(newest)]
