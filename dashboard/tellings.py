"""Who was told of an anomaly, through what, and why or why not: the words for the codes of a receipt."""

from __future__ import annotations

from dashboard.facts import Notification
from dashboard.language import Words


def told(notification: Notification | None, say: Words) -> str:
    """What became of telling somebody."""
    if notification is None:
        return say("Nobody told yet")
    channel = channel_word(notification.channel, say)
    words = {
        "delivered": say("Delivered by {channel}", channel=channel),
        "failed": say("Not delivered by {channel}", channel=channel),
        "suppressed": say("Held back: {reason}", reason=reason_word(notification.decision, say)),
    }
    return words.get(notification.delivery, notification.delivery)


def channel_word(channel: str, say: Words) -> str:
    """How a channel is called."""
    return {"mail": say("e-mail"), "webhook": say("webhook")}.get(channel, channel)


def reason_word(reason: str, say: Words) -> str:
    """The named reason of a notification decision, for people; an unknown one as it is."""
    words = {
        "first": say("the first of this anomaly"),
        "worse": say("it got worse"),
        "cooldown": say("within the cooldown"),
        "repeat_interval_elapsed": say("a reminder is due"),
        "updated": say("nothing new to tell"),
        "replayed": say("back-fill, not live"),
        "cleared": say("it cleared"),
    }
    return words.get(reason, reason.replace("_", " "))
