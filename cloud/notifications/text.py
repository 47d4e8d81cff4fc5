"""The plain part of the mail: the same facts as the HTML, for readers that show text or speak it."""

from __future__ import annotations

from collections.abc import Iterator

from cloud.notifications.facts import Detail, Facts


def text_part(facts: Facts) -> str:
    """The facts, line by line."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: Facts) -> Iterator[str]:
    yield f"{facts.glyph} {facts.badge} · {facts.device} · {facts.site} · {facts.when}"
    yield from ("", facts.sentence)
    if facts.looks is not None:
        yield from ("", facts.looks.told, f"({facts.looks.source})")
    if facts.picture is not None:
        yield from ("", facts.picture.alt)
    yield ""
    for row in facts.rows:
        yield f"{row.sensor}: {row.seen}, {row.expected} ({row.share})"
    yield from ("", f"{facts.button}: {facts.url}", "")
    yield from (f"{detail.label}: {_plain(detail)}" for detail in facts.details)
    yield from ("", "-- ", facts.footer)


def _plain(detail: Detail) -> str:
    return f"{detail.value} {detail.code}".strip()
