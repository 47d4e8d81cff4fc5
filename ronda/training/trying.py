"""What tries candidates on the stored history, put together on a store."""

from __future__ import annotations

from cloud.models.championship import Championship
from cloud.models.jury import Jury
from cloud.models.trial import Backtester
from cloud.storage.backtests import BacktestStore
from cloud.storage.database import Database
from cloud.storage.promotions import PromotionStore
from cloud.storage.readings import ReadingStore
from cloud.storage.verdicts import VerdictStore
from ronda.parts import Surroundings, clock_ms
from ronda.training.force import artifacts


def jury(around: Surroundings, database: Database, moves: Championship) -> Jury:
    """What tries candidates."""
    return Jury(
        Backtester(ReadingStore(database), VerdictStore(database)),
        BacktestStore(database),
        PromotionStore(database),
        moves,
        artifacts(around),
        clock_ms,
        automatic=around.settings.model_promotion == "automatic",
    )
