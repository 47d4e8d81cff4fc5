"""The statements that add readings up by the minute and minutes by the hour."""

from __future__ import annotations

_NAMES = ("counts", "lows", "highs", "sums")
# An earlier row of the same minute was made of fewer readings; readings are never taken away one by one.
_WRITE = """
ON CONFLICT (site, device, from_ms, generation) DO UPDATE
SET readings = excluded.readings, counts = excluded.counts, lows = excluded.lows, highs = excluded.highs,
    sums = excluded.sums
"""

# In the order in which whoever stores readings locks them, so that nobody waits for one who waits for him.
LOCK_DUE = """
SELECT site, device, boot, due::text FROM boots WHERE NOT isempty(due) ORDER BY site, device, boot FOR UPDATE
"""
HAND_OVER = """
WITH taken AS (
    UPDATE boots SET due = '{}'
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS was (site, device, boot, minutes)
    WHERE boots.site = was.site AND boots.device = was.device AND boots.boot = was.boot
    RETURNING was.site, was.device, was.minutes::int8multirange AS minutes
)
INSERT INTO roll_ups_due (site, device, minutes)
SELECT site, device, range_agg(minutes) FROM taken GROUP BY site, device
"""
# What is newest is looked at first.
WAITING = """
SELECT due.id, due.site, due.device, due.minutes, coalesce(jsonb_array_length(devices.metrics), 0) AS width
FROM roll_ups_due AS due LEFT JOIN devices USING (site, device)
ORDER BY upper(due.minutes) DESC, due.id
LIMIT $1
"""
DONE = """
WITH done AS (
    SELECT id, minutes::int8multirange AS minutes FROM unnest($1::bigint[], $2::text[]) AS done (id, minutes)
), shorter AS (
    UPDATE roll_ups_due AS due SET minutes = due.minutes - done.minutes FROM done
    WHERE due.id = done.id AND due.minutes - done.minutes <> '{}'
)
DELETE FROM roll_ups_due AS due USING done WHERE due.id = done.id AND due.minutes - done.minutes = '{}'
"""


def minutes(width: int) -> str:
    """Add up the readings of stretches of time (site, device, from, end), whose devices have `width` metrics."""
    v = [f'"values"[{at + 1}]' for at in range(width)]
    found = _arrays(
        [f"count({each})" for each in v],
        [f"min({each})" for each in v],
        [f"max({each})" for each in v],
        [f"sum({each})" for each in v],
    )
    return f"""
    INSERT INTO readings_by_minute (site, device, from_ms, generation, readings, counts, lows, highs, sums)
    SELECT wanted.site, wanted.device, found.from_ms, ({_generation("readings", "found.from_ms")}),
           found.readings, found.counts, found.lows, found.highs, found.sums
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS wanted (site, device, from_ms, end_ms)
    CROSS JOIN LATERAL (
        SELECT measured_at_ms / 60000 * 60000 AS from_ms, count(*) AS readings, {found}
        FROM readings
        WHERE readings.site = wanted.site AND readings.device = wanted.device
          AND readings.measured_at_ms >= wanted.from_ms AND readings.measured_at_ms < wanted.end_ms
        GROUP BY 1
    ) AS found
    {_WRITE}
    """  # noqa: S608  # numbers of ours


def hours(width: int) -> str:
    """Add up the minutes of whole hours (site, device, from, end), whose devices have `width` metrics."""
    at = range(1, width + 1)
    found = _arrays(
        [f"coalesce(sum(counts[{each}]), 0)::bigint" for each in at],
        [f"min(lows[{each}])" for each in at],
        [f"max(highs[{each}])" for each in at],
        [f"sum(sums[{each}])" for each in at],
    )
    return f"""
    INSERT INTO readings_by_hour (site, device, from_ms, generation, readings, counts, lows, highs, sums)
    SELECT wanted.site, wanted.device, found.from_ms, ({_generation("minutes", "found.from_ms")}),
           found.readings, found.counts, found.lows, found.highs, found.sums
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS wanted (site, device, from_ms, end_ms)
    CROSS JOIN LATERAL (
        SELECT m.from_ms / 3600000 * 3600000 AS from_ms, sum(m.readings) AS readings, {found}
        FROM readings_by_minute AS m
        WHERE m.site = wanted.site AND m.device = wanted.device
          AND m.from_ms >= wanted.from_ms AND m.from_ms < wanted.end_ms
        GROUP BY 1
    ) AS found
    {_WRITE}
    """  # noqa: S608  # numbers of ours


def _arrays(counts: list[str], lows: list[str], highs: list[str], sums: list[str]) -> str:
    """Array after array, each with its type for when it is empty."""
    kinds = ("bigint[]", "float8[]", "float8[]", "float8[]")
    return ", ".join(
        f"ARRAY[{', '.join(each)}]::{kind} AS {name}"
        for name, kind, each in zip(_NAMES, kinds, (counts, lows, highs, sums), strict=True)
    )


def _generation(what: str, from_ms: str) -> str:
    """How often `what` of that time was taken away: what there is now came later, and is added to what was kept."""
    return f"SELECT count(*) FROM retired WHERE what = '{what}' AND from_ms <= {from_ms} AND end_ms > {from_ms}"  # noqa: S608  # as above
