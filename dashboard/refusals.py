"""Why the API said no, in the reader's language: the words for its reason codes."""

from __future__ import annotations

from dashboard.language import Words
from ronda.client import ApiError


def refusal_word(refusal: ApiError, say: Words) -> str:
    """What is in the way and what to do; where the code is not known, the API's own words."""
    words = {
        "no_rested_machine": _no_machine(str(refusal.problem.get("why", "")), say),
        "too_many_attempts": say("There were too many attempts. Wait a minute, then try again."),
        "too_many_requests": say("There were too many attempts. Wait a minute, then try again."),
        "not_found": say("It does not exist, it was removed to make room, or you may not see it."),
        "unavailable": say("The database does not answer. It is usually back within seconds; try again."),
        "broker_away": say("The MQTT broker does not answer. It is usually back within seconds; try again."),
        "insufficient_scope": say("Your user may not do this. Ask whoever keeps the users for the permission."),
        "internal_error": say("Ronda stumbled over it. Its log knows more under the id below."),
    }
    return words.get(refusal.reason, refusal.detail)


def _no_machine(why: str, say: Words) -> str:
    if why == "all_resting":
        return say("Every demonstration machine is resting from its last fault. Try again in a few minutes.")
    if why == "no_machines":
        return say("There are no demonstration machines here: Ronda was started without emulated ones.")
    return say("The next demonstration machine is getting ready. Try again in a few seconds.")


def away_word(say: Words) -> str:
    """The API itself does not answer."""
    return say("Ronda does not answer. Is it running? Try again in a few seconds.")
