"""Which addresses the API has, and with which methods, as its own document says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

# `/api/v1/anomalies/{anomaly_id}`: one segment, whatever it is.
_PLACE = re.compile(r"\{[^}]+\}")


class Addresses:
    """Looks paths up; the document is made when the first is asked for, since routes are added until then."""

    def __init__(self, document: Callable[[], dict[str, Any]]) -> None:
        self._document = document

    def methods(self, path: str) -> list[str]:
        """What may be asked of `path`; nothing when there is no such address."""
        return sorted({method for pattern, methods in self._known if pattern.fullmatch(path) for method in methods})

    def is_unknown(self, path: str) -> bool:
        """Is this below `/api`, and nothing there?"""
        return (path == "/api" or path.startswith("/api/")) and not self.methods(path)

    @cached_property
    def _known(self) -> list[tuple[re.Pattern[str], list[str]]]:
        return [
            (re.compile(_PLACE.sub("[^/]+", path)), [method.upper() for method in methods])
            for path, methods in self._document()["paths"].items()
        ]
