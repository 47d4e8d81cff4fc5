"""What can be wrong with what the detector is given."""

from __future__ import annotations


class DetectionError(ValueError):
    """Base of the detector's errors."""


class ModelError(DetectionError):
    """These bytes are not a model that can be trusted to judge a machine."""


class FitError(DetectionError):
    """Nothing can be learned from these rows; the text says what is missing."""
