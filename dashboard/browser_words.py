"""What the browser says by itself while the stream is open, from the same catalogue as the pages."""

from __future__ import annotations

from dashboard.language import Words


def browser_words(say: Words) -> dict[str, str]:
    """Code → words, with `{name}` where the browser puts a number or a time."""
    return {
        "live": say("Live"),
        "delay": say("delay {length}"),
        "reconnecting": say("Reconnecting"),
        "try": say("try {n}, in {seconds} s"),
        "stale": say("Stale"),
        "last_event": say("last event {time}"),
        "now": say("just now"),
        "ago": say("{length} ago"),
        "new": say("{n} new"),
        "copied": say("Copied"),
        "dropped": say("{n} events dropped, page renewed"),
    }
