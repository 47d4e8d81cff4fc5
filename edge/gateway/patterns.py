"""Which topics a source has, and which device and metric stand in them: `hall-2/{device}/{metric}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Self

from broker.filters import is_filter
from edge.gateway.errors import GatewayError

_PLACE = re.compile(r"\{([a-z_]+)\}")


class Pattern(NamedTuple):
    """A topic with names in braces for whole levels; `+` is a level that does not matter, `#` all that follow."""

    text: str
    topic_filter: str
    levels: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern. Raises: GatewayError for one that no subscription could be made of."""
        levels = tuple(text.split("/"))
        names = [found[1] for level in levels if (found := _PLACE.fullmatch(level))]
        topic_filter = "/".join("+" if _PLACE.fullmatch(level) else level for level in levels)
        if not is_filter(topic_filter) or "{" in topic_filter or "}" in topic_filter:
            raise GatewayError(
                f"the topic {text!r} cannot be subscribed to: a name in braces, such as {{device}}, and the signs "
                "'+' and '#' each fill a whole level, '#' only the last"
            )
        if len(set(names)) != len(names):
            raise GatewayError(f"the topic {text!r} names one of its levels twice")
        return cls(text, topic_filter, levels)

    @property
    def names(self) -> frozenset[str]:
        """The names in braces."""
        return frozenset(found[1] for level in self.levels if (found := _PLACE.fullmatch(level)))

    def match(self, topic: str) -> dict[str, str] | None:
        """What stands in the named levels of this topic; None for one that the pattern does not cover."""
        given, wanted = topic.split("/"), self.levels
        if wanted[-1] == "#":
            wanted = wanted[:-1]
            given = given[: len(wanted)]
        if len(given) != len(wanted):
            return None
        found: dict[str, str] = {}
        for want, level in zip(wanted, given, strict=True):
            if place := _PLACE.fullmatch(want):
                found[place[1]] = level
            elif want not in {"+", level}:
                return None
        return found


def check_places(template: str, pattern: Pattern, what: str) -> None:
    """Raises: GatewayError when `template` uses a name that the topic does not have."""
    missing = [name for name in _PLACE.findall(template) if name not in pattern.names]
    if missing:
        raise GatewayError(
            f"{what} is {template!r}, but the topic {pattern.text!r} has no level {{{missing[0]}}}; name the level "
            f"there, or write the {what.rpartition('.')[2]} out"
        )


def filled(template: str, found: Mapping[str, str]) -> str:
    """The template with what stands in the topic."""
    return _PLACE.sub(lambda place: found[place[1]], template)
