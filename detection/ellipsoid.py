"""A limit on several channels together: how far a shift is under it, and which channel has what part in that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.rows import Floats

Mask = NDArray[np.bool_]

# Which sensors are silent seldom changes; where it does, an inverse is worked out again.
_MASKS = 8


class Ellipsoid:
    """The shifts of some `channels` (j of k) that are within a limit (j, j; a matrix of second moments).

    Its matrices are over all k channels, zero where a channel takes no part: one shape, whoever is silent.
    """

    def __init__(self, limit: Floats, channels: Sequence[int], k: int) -> None:
        self.limit = limit
        self.channels = np.asarray(channels, dtype=np.intp)
        self._everyone = np.ones(k, dtype=bool)
        self._roots: dict[bytes, Floats] = {}
        self._left_free: dict[bytes, Floats] = {}
        self.root = self._among(self._everyone, self._roots, whitening)

    def distance(self, shift: Floats, heard: Mask | None = None) -> Floats:
        """Of each row (s, k): 1 is the limit. A channel that was not `heard` takes no part; NaN where none was."""
        if heard is None:
            return distance(shift, self.root)
        out = np.full(len(shift), np.nan)
        left = heard[:, self.channels].any(axis=1)
        while left.any():
            mask = heard[int(left.argmax())]
            same = left & (heard == mask).all(axis=1)
            out[same] = distance(shift[same], self.root_of(mask))
            left &= ~same
        return out

    def parts(self, shift: Floats, heard: Mask | None = None) -> Floats:
        """One shift (k) as a vector (j) whose length is its distance; its directions do not depend on who is silent."""
        spoken = shift if heard is None else np.where(heard, shift, 0.0)
        return np.asarray(np.vecdot(self.root, spoken)[self.channels])

    def savings(self, shift: Floats, heard: Mask | None = None) -> Floats:
        """Per channel (k) (S⁻¹m)ⱼ² / (S⁻¹)ⱼⱼ: the part of the squared distance that is gone when it is left free.

        Mason, Tracy, Young: Decomposition of T² for multivariate control chart interpretation, J. Quality Technology
        1995.
        """
        saved = np.vecdot(self._among(self._everyone if heard is None else heard, self._left_free, left_free), shift)
        return np.asarray(saved * saved)

    def own(self, channel: int) -> float:
        """How far this channel may go without the others' word."""
        place = int(np.searchsorted(self.channels, channel))
        return math.sqrt(float(self.limit[place, place]))

    def root_of(self, mask: Mask) -> Floats:
        """The root of what is left when only the channels of the `mask` (k) have a part."""
        return self._among(mask, self._roots, whitening)

    def _among(self, mask: Mask, kept: dict[bytes, Floats], matrix: Callable[[Floats], Floats]) -> Floats:
        """The matrix of those that the `mask` (k) leaves."""
        key = mask.tobytes()
        if key not in kept:
            if len(kept) >= _MASKS:
                kept.clear()
            places = np.flatnonzero(mask[self.channels])
            columns = self.channels[places]
            kept[key] = np.zeros((len(mask), len(mask)))
            kept[key][np.ix_(columns, columns)] = matrix(self.limit[np.ix_(places, places)])
        return kept[key]


def whitening(limit: Floats) -> Floats:
    """The matrix that turns a shift into one whose length is its distance under `limit`."""
    return np.linalg.inv(np.linalg.cholesky(limit)) if limit.size else limit


def left_free(limit: Floats) -> Floats:
    """The matrix that turns a shift into what each channel would save if it were left free, before squaring."""
    precision = np.linalg.inv(limit)
    return precision / np.sqrt(np.diagonal(precision))[:, None]


def distance(shift: Floats, root: Floats) -> Floats:
    """Mahalanobis distance of each row (s, k) by a `root` (k, k).

    One dot product after the other on purpose: a product of matrices rounds differently for one row and for many.
    """
    white = np.vecdot(root, shift[:, None, :])
    return np.asarray(np.sqrt(np.vecdot(white, white)))
