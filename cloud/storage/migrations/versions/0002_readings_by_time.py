"""Readings are split by the time of their measurement: a hypertable where TimescaleDB is, monthly partitions elsewhere."""

from __future__ import annotations

import logging

from alembic import op
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

log = logging.getLogger("ronda.storage")

# Four weeks, as on the other side a month. A look-up by identity opens every chunk: with weeks it took four times as
# long after two years. Twenty machines at one reading a second fill it with 48 million rows, 10 GB with their indexes,
# whose hot pages are few, since each machine writes at the end of its own part.
_CHUNK_MS = 28 * 24 * 60 * 60 * 1000
# The loader's own setting is there only where the server preloads it; without that CREATE EXTENSION ends the connection.
_OFFERED = """
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')
   AND EXISTS (SELECT FROM pg_settings WHERE name = 'timescaledb.disable_load')
"""
# From 2000, before which no reading is accepted, to 2100, both in UTC; days since 1970.
_FIRST_DAY, _LAST_DAY = 10_957, 47_481
_DAY_MS = 24 * 60 * 60 * 1000

# Called by whoever is about to write readings, with the days (since 1970) that they were measured on, in the writer's
# own transaction. Of several at once the first makes a month and the others wait for its commit, nobody with anything
# else in hand. ROW EXCLUSIVE, which an INSERT takes anyway, keeps a month from being dropped meanwhile. ONLY: of the
# parent alone, or a VACUUM of any month would hold up the making of another. A month whose partition was detached gets
# another one under another name.
_MAKE_ROOM = f"""
CREATE FUNCTION readings_make_room(days bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamp;
    part text;
    bounds text;
BEGIN
    LOCK TABLE ONLY readings IN ROW EXCLUSIVE MODE;
    FOR month IN
        SELECT DISTINCT date_trunc('month', timestamp 'epoch' + day * interval '1 day')
        FROM unnest(days) AS day
        WHERE day BETWEEN {_FIRST_DAY} AND {_LAST_DAY}
    LOOP
        part := 'readings_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_inherits WHERE inhparent = 'readings'::regclass AND inhrelid = to_regclass(part)
        );
        LOCK TABLE ONLY readings IN SHARE UPDATE EXCLUSIVE MODE;
        bounds := format(
            'FOR VALUES FROM (%L) TO (%L)',
            (1000 * extract(epoch FROM month))::bigint,
            (1000 * extract(epoch FROM month + interval '1 month'))::bigint
        );
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'readings'::regclass AND pg_get_expr(relpartbound, inhrelid) = bounds
        );
        IF to_regclass(part) IS NOT NULL THEN
            part := part || '_' || txid_current();
        END IF;
        -- Attached, not created in its place, since that would wait for every reader of the table.
        EXECUTE format('CREATE TABLE %I (LIKE readings INCLUDING DEFAULTS)', part);
        EXECUTE format('ALTER TABLE readings ATTACH PARTITION %I %s', part, bounds);
    END LOOP;
END
$$
"""
_NO_ROOM_NEEDED = """
CREATE FUNCTION readings_make_room(days bigint[]) RETURNS void LANGUAGE sql AS ''
"""


def upgrade() -> None:
    if _has_timescale():
        _hypertable()
    else:
        _partitions()


def _has_timescale() -> bool:
    connection = op.get_bind()
    if not connection.scalar(text(_OFFERED)):
        return False
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except DBAPIError as error:
        log.warning("timescale.refused", extra={"why": str(error.orig)})
        return False
    return True


def _hypertable() -> None:
    """Each chunk is made by the extension when its first reading comes."""
    op.execute(
        "SELECT create_hypertable('readings', by_range('measured_at_ms', "
        f"{_CHUNK_MS}::bigint), create_default_indexes => false, migrate_data => true)"
    )
    op.execute(
        "CREATE FUNCTION readings_now_ms() RETURNS bigint LANGUAGE sql STABLE AS "
        "'SELECT (1000 * extract(epoch FROM now()))::bigint'"
    )
    op.execute("SELECT set_integer_now_func('readings', 'readings_now_ms')")
    op.execute(_NO_ROOM_NEEDED)


def _partitions() -> None:
    """Months are made by the writer; the two ends are there from the start, so that every time has its place."""
    op.execute("ALTER TABLE readings RENAME TO readings_before")
    op.execute("ALTER TABLE readings_before DROP CONSTRAINT readings_pkey")
    op.execute("DROP INDEX readings_site_device_measured_at_ms, readings_request_id")
    op.execute("CREATE TABLE readings (LIKE readings_before INCLUDING DEFAULTS) PARTITION BY RANGE (measured_at_ms)")
    first_ms, end_ms = _FIRST_DAY * _DAY_MS, (_LAST_DAY + 1) * _DAY_MS
    op.execute(f"CREATE TABLE readings_to_1999 PARTITION OF readings FOR VALUES FROM (MINVALUE) TO ({first_ms})")
    op.execute(f"CREATE TABLE readings_from_2100 PARTITION OF readings FOR VALUES FROM ({end_ms}) TO (MAXVALUE)")
    op.execute(_MAKE_ROOM)
    op.execute(
        f"SELECT readings_make_room(ARRAY(SELECT DISTINCT div(measured_at_ms, {_DAY_MS})::bigint FROM readings_before))"
    )
    op.execute("INSERT INTO readings SELECT * FROM readings_before")
    op.execute("DROP TABLE readings_before")
    # After the rows, which is twice as fast as row by row.
    op.execute(
        "ALTER TABLE readings ADD CONSTRAINT readings_pkey PRIMARY KEY (boot, seq, site, device, measured_at_ms)"
    )
    op.execute("CREATE INDEX readings_site_device_measured_at_ms ON readings (site, device, measured_at_ms)")
    op.execute("CREATE INDEX readings_request_id ON readings (request_id) WHERE request_id IS NOT NULL")
