"""What is wrong with the way of the readings: from the device's clock to the person who should have been told."""

from __future__ import annotations

from collections.abc import Iterator

from cloud.api.quarantine_advice import advice
from ronda.doctor.facts import Facts, Seen
from ronda.doctor.finding import Finding

_MINUTE_MS = 60_000
# A watermark waits for back-fill, which a gateway sends slowly on purpose; a quarter of an hour is not on purpose.
_STALLED_MS = 15 * _MINUTE_MS
# The dashboard says "no data" after as long.
_SILENT_MS = 5 * _MINUTE_MS
# Decisions are published within a second of their commit, or when the broker is back.
_UNPUBLISHED_MS = _MINUTE_MS
# A device that sends once a minute is behind by as much.
_BEHIND_MS, _AHEAD_MS = 2 * _MINUTE_MS, 5000
# A person reads no more than this of the same kind; the rest is a number.
_MOST = 10
_FULL = 0.8


def clocks(facts: Facts) -> Iterator[Finding]:
    """Do the devices' clocks agree with ours?"""
    for each in facts.store.seen:
        if each.measured_at_ms is None or each.received_at_ms is None or each.late:
            continue
        behind_ms = each.received_at_ms - each.measured_at_ms
        if behind_ms > _BEHIND_MS or behind_ms < -_AHEAD_MS:
            word = "behind" if behind_ms > 0 else "ahead of"
            yield Finding(
                check="clocks", about=_name(each), since_ms=each.received_at_ms,
                what=f"its last reading was {_duration(abs(behind_ms))} {word} our clock when it arrived",
                todo="set its clock (NTP); if it sends the past, let it say so with `replayed`",
            )  # fmt: skip


def silence(facts: Facts) -> Iterator[Finding]:
    """Which devices say nothing? Not asked while the broker or the store is away: that explains it."""
    if facts.broker.door.error:
        return
    for each in facts.store.seen:
        last_ms = each.received_at_ms
        if last_ms is None and facts.now_ms - each.created_at_ms > _SILENT_MS:
            yield Finding(
                check="devices", about=_name(each), what="it never sent a reading", since_ms=each.created_at_ms,
                todo="look whether it reaches the broker with its user and password; else ronda device revoke",
            )  # fmt: skip
        elif last_ms is not None and facts.now_ms - last_ms > _SILENT_MS:
            yield Finding(
                check="devices", about=_name(each), since_ms=last_ms,
                what=f"it has been silent for {_duration(facts.now_ms - last_ms)}",
                todo="look at its power and network; out of service: ronda device revoke",
            )  # fmt: skip


def historian(facts: Facts) -> Iterator[Finding]:
    """Does what passes the validation reach the store?"""
    if (probe := facts.probe) and not probe.stored:
        yield Finding(
            check="historian", about=probe.reading, todo="look into the log of the historian and of the database",
            what=f"it passed the validation and is not in the store after {probe.waited_ms / 1000:.1f} s",
        )  # fmt: skip


def watermarks(facts: Facts) -> Iterator[Finding]:
    """Which senders wait, because readings in between never came?"""
    stalled = [gap for gap in facts.store.gaps if gap.since_ms and facts.now_ms - gap.since_ms > _STALLED_MS]
    for gap in stalled[:_MOST]:
        yield Finding(
            check="watermarks", about=f"{gap.site}/{gap.device}", since_ms=gap.since_ms,
            what=f"{gap.missing:,} readings of its boot {gap.boot} never came, from number {gap.first:,} on",
            todo="it holds them or lost them: a sender that reconnects sends them again, or says `oldest`",
        )  # fmt: skip
    yield from _more("watermarks", len(stalled))


def outbox(facts: Facts) -> Iterator[Finding]:
    """Was something decided that did not reach the broker?"""
    for each in facts.store.unpublished:
        if facts.now_ms - each.oldest_ms > _UNPUBLISHED_MS:
            yield Finding(
                check="outbox", about=each.kind, what=f"{each.messages:,} were decided and are not at the broker",
                since_ms=each.oldest_ms, todo="they go out when their agent has the broker again; look into its log",
            )  # fmt: skip


def quarantine(facts: Facts) -> Iterator[Finding]:
    """Is something being refused, why, and is there room?"""
    for cause in facts.store.causes[:_MOST]:
        name = f"{cause.site}/{cause.device}"
        yield Finding(
            check="quarantine", about=name, since_ms=cause.first_ms, todo=advice(cause.reason),
            what=f"{cause.entries:,} refused by {cause.stage} within the last hour: {cause.reason}",
        )  # fmt: skip
    yield from _more("quarantine", len(facts.store.causes))
    totals = facts.store.totals
    if totals and facts.most_quarantined and totals.waiting > _FULL * facts.most_quarantined:
        yield Finding(
            check="quarantine", about="its room",
            what=f"{totals.waiting:,} entries wait, of at most {facts.most_quarantined:,}",
            todo="mend and replay the most frequent reason, or archive it: ronda quarantine list",
        )  # fmt: skip


def models(facts: Facts) -> Iterator[Finding]:
    """Was a promoted model not taken into use?"""
    for each in facts.store.refusals:
        yield Finding(
            check="models", about=f"{each.site}/{each.device}", since_ms=each.at_ms,
            what=f"version {each.version} is promoted and not in use: {each.why}",
            todo="ronda train, or go back: ronda model rollback",
        )  # fmt: skip


def told(facts: Facts) -> Iterator[Finding]:
    """Did people get what was to be told?"""
    for each in facts.store.mails:
        yield Finding(
            check="notifications", about=each.channel, since_ms=each.since_ms,
            what=f"{each.failed:,} failed since the last that was delivered: {each.receipt}",
            todo="correct EMAIL_… or WEBHOOK_URL; alarms are told again after the cooldown",
        )  # fmt: skip


def _more(check: str, found: int) -> Iterator[Finding]:
    if found > _MOST:
        yield Finding(check=check, about="others", what=f"{found - _MOST:,} more of this kind", todo="mend these first")


def _name(seen: Seen) -> str:
    return f"{seen.site}/{seen.device}"


def _duration(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    for name, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"
