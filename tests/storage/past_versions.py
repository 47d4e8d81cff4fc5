"""Rows as each version of the tables had them, written in the SQL of that time."""

from __future__ import annotations

import msgspec
from argon2 import PasswordHasher

from tests.support.anomalies import anomaly

VERSIONS = ("0001", "0002", "0003", "0004", "0005")

_EVENT = msgspec.json.encode(anomaly()).decode().replace("'", "''")
PASSWORD = "of that time"
_HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
_RECEIPT = (
    '{"site": "plant-1", "device": "pump-07", "anomaly_id": "a1", "decision": "first", "channel": "mail", '
    '"delivery": "delivered", "receipt": "250 ok", "sent_at_ms": 4, "correlation_id": "c1"}'
)
_FIRST = [
    """
    INSERT INTO devices VALUES
    ('plant-1', 'pump-07', 'provisioned', '[{"name": "temperature_c", "high": 200}, {"name": "current_a"}]',
     600, 1700000000000, NULL),
    ('plant-1', 'meter-1', 'http', NULL, NULL, 1700000000000, 1700000000001)
    """,
    """
    INSERT INTO readings
    SELECT 'plant-1', 'pump-07', '9f2c41d07be3a655', seq, 1700000000000 + seq * 1000, 1700000000040 + seq * 1000,
           ARRAY[seq, NULL], false, CASE WHEN seq = 3 THEN 'request-3' END
    FROM generate_series(0, 199) AS seq
    """,
    """
    INSERT INTO boots (site, device, boot, accounted, stored, rejected, lost, first_seen_ms)
    VALUES ('plant-1', 'pump-07', '9f2c41d07be3a655', '{[0,203)}', 200, 1, 2, 1700000000040)
    """,
    r"""
    INSERT INTO rejected (id, site, device, boot, seq, stage, reason, detail, topic, payload, received_at_ms,
                          correlation_id)
    VALUES ('r1', 'plant-1', 'pump-07', '9f2c41d07be3a655', 200, 'validation', 'out_of_range', 'too hot', 't', '\x00ff',
            1700000000000, 'c1'),
           ('r2', 'plant-1', 'pump-07', NULL, NULL, 'acquisition', 'malformed_json', 'what', 't', '\x7b', 1700000000001,
            NULL)
    """,
    f"""
    INSERT INTO anomalies (anomaly_id, site, device, phase, severity, since_ms, raised_at_ms, detected_at_ms,
                           correlation_id, score, peak_score, event, latest)
    VALUES ('a1', 'plant-1', 'pump-07', 'raised', 'critical', 1, 2, 3, 'c1', 2.5, 2.5, '{_EVENT}', '{_EVENT}')
    """,
    r"INSERT INTO outbox VALUES ('o1', 'AnomalyDetectedEvent', 'ronda/v1/plant-1/pump-07/anomaly', '\x7b7d', 1, NULL)",
    r"""
    INSERT INTO detector_states (site, device, model_version, boot, seq, measured_at_ms, state, instance, updated_at_ms)
    VALUES ('plant-1', 'pump-07', '1', '9f2c41d07be3a655', 199, 1700000199000, '\x01', '0-63', 5)
    """,
    f"""
    INSERT INTO notifications VALUES ('n1', 'a1', 'e1', 'plant-1', 'pump-07', 'first', 'mail', 'delivered', '250 ok',
        ARRAY['a@b', 'c@d'], '<m1>', 0, 'c1', 4, 'critical', 2, '{_RECEIPT}')
    """,
    "INSERT INTO hops VALUES ('h1', 'c1', 'plant-1', 'pump-07', 'historian', 'stored', 1.5, 1, '{\"a\": 1}')",
    """
    INSERT INTO promotions (site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows,
                            trained_from_ms, trained_through_ms, promoted_at_ms)
    VALUES ('plant-1', 'pump-07', '1', 'ronda.plant-1.pump-07', 'run', 'sum', 'data', 'file:///m', 150,
            1700000000000, 1700000149000, 1700000150000)
    """,
    "INSERT INTO users VALUES ('admin', 'hash', '{devices:write}', '{*}', 1)",
    f"INSERT INTO users VALUES ('ana', '{_HASH}', '{{data:read}}', '{{plant-1/*}}', 1)",
]
_SINCE = {
    "0003": ["INSERT INTO ended_tokens VALUES ('t1', 1, 2)"],
    "0004": [
        "INSERT INTO verdicts VALUES ('a1', 'plant-1', 'pump-07', 'true', 'bearing_wear', NULL, 'ana', 5, '1')",
        "INSERT INTO machine_states VALUES ('plant-1', 'pump-07', '{\"state\": \"off\"}', 1, 2)",
        "INSERT INTO shadow_scores VALUES ('plant-1', 'pump-07', '2', '1', 0, 3600000, 3600, 1, 2, 3)",
        "INSERT INTO device_limits VALUES ('plant-1', 'pump-07', 'temperature_c', 'warning', 'manual', 1, 80, 'x')",
    ],
    "0005": [
        "UPDATE boots SET due = '{[28333333,28333337)}'",
        """
        INSERT INTO readings_by_minute VALUES
        ('plant-1', 'pump-07', 1600000020000, 0, 60, '{60,60}', '{1,2}', '{3,4}', '{120,180}')
        """,
        "INSERT INTO retired VALUES ('readings', 1598918400000, 1700000000000, 1601510400000, 60)",
        "INSERT INTO retired_readings VALUES ('plant-1', 'pump-07', '0000000000000000', 60)",
    ],
}


def rows_of(version: str) -> list[str]:
    """The statements that fill the tables of this version."""
    return [*_FIRST, *(each for since, more in _SINCE.items() if since <= version for each in more)]
