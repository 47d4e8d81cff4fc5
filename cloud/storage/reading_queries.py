"""Questions about readings that are clearer in SQL than in Python."""

from __future__ import annotations

# The last number of the run that begins with 0, or -1.
LATEST_WATERMARK = """
SELECT boot, coalesce((SELECT upper(run) - 1 FROM unnest(accounted) AS run WHERE lower(run) = 0), -1) AS through
FROM boots
WHERE site = :site AND device = :device AND boot <> :uncounted
ORDER BY first_seen_ms DESC, boot
LIMIT 1
"""

WATERMARKS = """
SELECT boot, coalesce((SELECT upper(run) - 1 FROM unnest(accounted) AS run WHERE lower(run) = 0), -1) AS through
FROM boots
WHERE site = :site AND device = :device AND boot = ANY (:boots) AND boot <> :uncounted
"""

# A device that sent readings without a number, or never one with, does not count: what it sent is unknown.
LEDGER = """
WITH device AS (
    SELECT site, device,
           (count(*) FILTER (WHERE boot <> :uncounted) = 0
            OR coalesce(sum(stored) FILTER (WHERE boot = :uncounted), 0) > 0) AS uncounted,
           coalesce(sum(upper(accounted)), 0) AS sent,
           sum(stored) AS stored,
           coalesce(sum(rejected) FILTER (WHERE boot <> :uncounted), 0) AS rejected,
           sum(lost) AS lost,
           coalesce(sum(rejected) FILTER (WHERE boot = :uncounted), 0) AS unnumbered
    FROM boots
    GROUP BY site, device
)
SELECT site, device, stored, unnumbered,
       CASE WHEN NOT uncounted THEN sent END AS sent,
       CASE WHEN NOT uncounted THEN sent - stored - rejected - lost END AS pending,
       CASE WHEN NOT uncounted THEN lost END AS lost,
       rejected + CASE WHEN uncounted THEN unnumbered ELSE 0 END AS rejected
FROM device
ORDER BY site, device
"""

# One step into the index per device, however many readings there are.
LAST_SEEN = """
SELECT site, device, newest.measured_at_ms, newest.received_at_ms
FROM devices CROSS JOIN LATERAL (
    SELECT r.measured_at_ms, r.received_at_ms
    FROM readings r
    WHERE r.site = devices.site AND r.device = devices.device
    ORDER BY r.measured_at_ms DESC
    LIMIT 1
) AS newest
"""

# A machine that has a model and runs as it never did before: there is nothing to judge it by. As many readings as make
# a first model make its next one. Revoked devices and those that only show something are left alone.
AT_A_LOSS = """
SELECT site, device
FROM machine_states
JOIN devices USING (site, device)
JOIN (SELECT site, device, max(trained_through_ms) AS through_ms FROM model_versions GROUP BY site, device) AS learned
    USING (site, device)
WHERE machine_states.event ->> 'state' = 'learning'
  AND devices.revoked_at_ms IS NULL AND devices.learn_rows IS NULL AND devices.origin <> ALL (:shows)
  AND :rows = (
      SELECT count(*)
      FROM (
          SELECT FROM readings
          WHERE readings.site = devices.site AND readings.device = devices.device
            AND readings.measured_at_ms > greatest(machine_states.measured_at_ms, learned.through_ms)
          LIMIT :rows
      ) AS since
  )
ORDER BY site, device
"""
