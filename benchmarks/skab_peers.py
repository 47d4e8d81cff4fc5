"""What the field uses, fitted on the same 400 rows and judged by the same protocol; no threshold has seen a label.

Each judges a row by itself; where the published recipe smooths its verdicts, so is it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from benchmarks.skab_protocol import Flags

Values = NDArray[np.float64]
Judge = Callable[[Values], Flags]

# The leaderboard's T²+Q: components for 85 % of the variance, limits at 99.9 %, medians of five rows.
_VARIANCE, _LIMIT, _T2Q_MEDIAN = 0.85, 0.999, 5
# The leaderboard's forest: scikit-learn's 100 trees, a limit that 0.05 % of the rows learned from pass, medians of 3.
_FOREST_SHARE, _FOREST_MEDIAN = 0.0005, 3
# LOF as scikit-learn judges what is new: 20 neighbours, beyond 1.5 times their density (Breunig et al., SIGMOD 2000).
_NEIGHBOURS = 20
# ECOD as PyOD uses it: a tenth of what was learned from is beyond the limit.
_ECOD_SHARE = 0.1


def always_on(_train: Values) -> Judge:
    """Flags everything: what F1 gives for nothing."""
    return lambda rows: np.ones(len(rows), dtype=bool)


def t2_and_q(train: Values) -> Judge:
    """Principal components: Hotelling's T² within them or the squared residual Q beyond its limit.

    The limit of T² follows from the F distribution (Hotelling).
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    kept = deviation > 0
    scaled = (train[:, kept] - mean[kept]) / deviation[kept]
    covariance = np.cov(scaled.T)
    variance, axes = (part[..., ::-1] for part in np.linalg.eigh(covariance))
    k, n = int(np.searchsorted(np.cumsum(variance) / variance.sum(), _VARIANCE) + 1), len(scaled)
    inside = axes[:, :k]
    t2_limit = k * (n - 1) * (n + 1) / (n * (n - k)) * stats.f.ppf(_LIMIT, k, n - k)
    q_limit = _q_limit(covariance, k)

    def judge(rows: Values) -> Flags:
        z = (rows[:, kept] - mean[kept]) / deviation[kept]
        parts = z @ inside
        t2, q = (parts**2 / variance[:k]).sum(axis=1), ((z - parts @ inside.T) ** 2).sum(axis=1)
        return np.asarray((_median(t2, _T2Q_MEDIAN) > t2_limit) | (_median(q, _T2Q_MEDIAN) > q_limit))

    return judge


def isolation_forest(train: Values) -> Judge:
    """How few cuts set a row apart (Liu, Ting, Zhou, ICDM 2008)."""
    forest: Any = IsolationForest(contamination=_FOREST_SHARE, random_state=0).fit(train)
    return lambda rows: _median((forest.predict(rows) < 0).astype(float), _FOREST_MEDIAN) > 0.5


def local_outlier_factor(train: Values) -> Judge:
    """How much thinner a row's surroundings are than its neighbours'."""
    mean, deviation = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)
    factor: Any = LocalOutlierFactor(n_neighbors=_NEIGHBOURS, novelty=True).fit((train - mean) / deviation)
    return lambda rows: np.asarray(factor.predict((rows - mean) / deviation) < 0)


def ecod(train: Values) -> Judge:
    """How far in the tails of each channel by itself (Li et al., "ECOD", IEEE TKDE 2022, algorithm 1).

    The empirical distributions are those of the rows learned from, so that a verdict needs no later row.
    """
    columns = np.sort(train, axis=0)
    right_tailed = stats.skew(train, axis=0) > 0

    def score(rows: Values) -> Values:
        left = np.stack([_rank(columns[:, j], rows[:, j], "right") for j in range(rows.shape[1])], axis=1)
        right = np.stack([_rank(-columns[::-1, j], -rows[:, j], "right") for j in range(rows.shape[1])], axis=1)
        surprise = np.stack([-np.log(left), -np.log(right)])
        by_skew = np.where(right_tailed, surprise[1], surprise[0])
        return np.asarray(np.max([surprise[0].sum(axis=1), surprise[1].sum(axis=1), by_skew.sum(axis=1)], axis=0))

    limit = np.quantile(score(train), 1 - _ECOD_SHARE)
    return lambda rows: score(rows) > limit


PEERS: Mapping[str, Callable[[Values], Judge]] = {
    "T²+Q": t2_and_q,
    "isolation forest": isolation_forest,
    "LOF": local_outlier_factor,
    "ECOD": ecod,
    "always on": always_on,
}

RECIPES = (
    "T²+Q as on the leaderboard (85 % of the variance, limits at 99.9 %, medians of 5 rows); "
    "isolation forest as on the leaderboard (100 trees, contamination 0.05 %, medians of 3 rows); "
    "LOF as scikit-learn judges what is new (20 neighbours, limit 1.5); "
    "ECOD with PyOD's limit, which 10 % of the rows learned from pass, and the distributions of those rows"
)


def _q_limit(covariance: Values, components: int) -> float:
    """Jackson and Mudholkar's limit (1979) as the leaderboard computes it, so that its row is met to the digit.

    That is kinder than the limit as published, which has half as many false alarms again: the residual's variance is
    taken from the eigenvalues in the order in which they come, not by size, and as if it all lay in one direction. The
    formula is then Wilson and Hilferty's approximation of χ² with one degree of freedom.
    """
    residual = float(np.linalg.eigvals(covariance).real[components:].sum())
    normal = float(stats.norm.ppf(_LIMIT))
    return float(residual * (1 - 2 / 9 + normal * np.sqrt(2 / 9)) ** 3)


def _rank(ordered: Values, values: Values, side: Any) -> Values:
    """The share of `ordered` up to each value; half of one where there is none, since it is not impossible."""
    return np.maximum(np.searchsorted(ordered, values, side=side), 0.5) / len(ordered)


def _median(values: Values, width: int) -> Values:
    """Of each row and the `width` - 1 before it; the first rows, with fewer before them, are within any limit."""
    if len(values) < width:
        return np.full(len(values), -np.inf)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    return np.concatenate([np.full(width - 1, -np.inf), medians])
