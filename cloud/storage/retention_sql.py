"""The statements that look at what is old, make sure that it was added up, and take it away."""

from __future__ import annotations

# The months of readings, oldest first; the two ends of time, which have no bounds, stay.
PARTITIONS = """
SELECT format('%I', relname) AS name, bounds[1]::bigint AS from_ms, bounds[2]::bigint AS end_ms
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(relpartbound, inhrelid), $$FROM \\('?(-?\\d+)'?\\) TO \\('?(-?\\d+)'?\\)$$
) AS bounds
WHERE inhparent = 'readings'::regclass AND bounds IS NOT NULL
ORDER BY 2
"""
CHUNKS = """
SELECT format('%I.%I', chunk_schema, chunk_name) AS name, range_start_integer AS from_ms, range_end_integer AS end_ms
FROM timescaledb_information.chunks
WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = 'readings'::regclass
  AND range_start_integer >= 946684800000 AND range_end_integer <= 4102444800000
ORDER BY 2
"""
# How many rows a part has by its last statistics.
ABOUT = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::regclass"

# What the minutes of a time say that there are, of those that were made of the readings that are there now.
MINUTES_HAVE = """
SELECT wanted.site, wanted.device, coalesce(sum(m.readings), 0)::bigint
FROM unnest($1::text[], $2::text[]) AS wanted (site, device)
LEFT JOIN readings_by_minute AS m ON m.site = wanted.site AND m.device = wanted.device
    AND m.from_ms >= $3 AND m.from_ms < $4 AND m.generation = (
        SELECT count(*) FROM retired WHERE what = 'readings' AND from_ms <= m.from_ms AND end_ms > m.from_ms
    )
GROUP BY wanted.site, wanted.device
"""
ADD_UP_AGAIN = """
INSERT INTO roll_ups_due (site, device, minutes)
SELECT site, device, int8multirange(int8range($3::bigint / 60000, ($4::bigint + 59999) / 60000))
FROM unnest($1::text[], $2::text[]) AS wanted (site, device)
"""
RETIRE = "INSERT INTO retired (what, from_ms, end_ms, retired_at_ms, rows) VALUES ($1, $2, $3, $4, $5)"
RETIRE_READINGS = """
INSERT INTO retired_readings (site, device, boot, readings)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (site, device, boot) DO UPDATE SET readings = retired_readings.readings + excluded.readings
"""

# Each machine's oldest by a step into the index; whoever has rolled-up readings has a boot.
FIRST = """
SELECT min(first.from_ms)
FROM (SELECT DISTINCT site, device FROM boots) AS known
CROSS JOIN LATERAL (
    SELECT from_ms FROM {table} AS r WHERE r.site = known.site AND r.device = known.device ORDER BY from_ms LIMIT 1
) AS first
"""
# Something finer of that time is still there, or is to be added up.
HELD_UP = """
WITH waiting AS (SELECT due AS minutes FROM boots UNION ALL SELECT minutes FROM roll_ups_due)
SELECT EXISTS (SELECT FROM waiting WHERE minutes && int8range($1::bigint / 60000, $2::bigint / 60000))
    OR EXISTS (SELECT FROM readings WHERE measured_at_ms >= $1 AND measured_at_ms < $2)
"""
# The devices whose hours are of other readings than the minutes that are there now.
HOURS_DIFFER = """
WITH minutes AS (
    SELECT site, device, sum(readings) AS readings FROM readings_by_minute WHERE from_ms >= $1 AND from_ms < $2
    GROUP BY site, device
), hours AS (
    SELECT site, device, sum(readings) AS readings FROM readings_by_hour AS h
    WHERE from_ms >= $1 AND from_ms < $2 AND generation = (
        SELECT count(*) FROM retired WHERE what = 'minutes' AND from_ms <= h.from_ms AND end_ms > h.from_ms
    )
    GROUP BY site, device
)
SELECT site, device FROM minutes LEFT JOIN hours USING (site, device)
WHERE hours.readings IS DISTINCT FROM minutes.readings
"""
