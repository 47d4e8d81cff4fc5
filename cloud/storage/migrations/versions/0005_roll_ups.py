"""Readings by the minute and by the hour, and what was taken away because of its age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# From 2000 to 2100, where accepted readings belong. A step into the index for each end of each device.
_FIRST_MS, _END_MS = 946_684_800_000, 4_102_444_800_000
_EVERYTHING_IS_DUE = f"""
INSERT INTO roll_ups_due (site, device, minutes)
SELECT site, device, int8multirange(int8range(first.at_ms / 60000, last.at_ms / 60000 + 1))
FROM (SELECT DISTINCT site, device FROM boots) AS known
CROSS JOIN LATERAL (
    SELECT r.measured_at_ms AS at_ms FROM readings r
    WHERE r.site = known.site AND r.device = known.device AND r.measured_at_ms >= {_FIRST_MS}
    ORDER BY r.measured_at_ms LIMIT 1
) AS first
CROSS JOIN LATERAL (
    SELECT r.measured_at_ms AS at_ms FROM readings r
    WHERE r.site = known.site AND r.device = known.device AND r.measured_at_ms < {_END_MS}
    ORDER BY r.measured_at_ms DESC LIMIT 1
) AS last
WHERE first.at_ms < {_END_MS} AND last.at_ms >= {_FIRST_MS}
"""  # noqa: S608  # constants of ours


def upgrade() -> None:
    op.add_column(
        "boots", sa.Column("due", postgresql.INT8MULTIRANGE(), server_default=sa.text("'{}'"), nullable=False)
    )
    _roll_ups("readings_by_minute")
    _roll_ups("readings_by_hour")
    _roll_ups_due()
    _retired()
    op.execute(_EVERYTHING_IS_DUE)


def _roll_ups(name: str) -> None:
    op.create_table(
        name,
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.ARRAY(sa.BigInteger()), nullable=False),
        *(sa.Column(each, sa.ARRAY(sa.Double()), nullable=False) for each in ("lows", "highs", "sums")),
        sa.PrimaryKeyConstraint("site", "device", "from_ms", "generation", name=op.f(f"{name}_pkey")),
    )


def _roll_ups_due() -> None:
    op.create_table(
        "roll_ups_due",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("minutes", postgresql.INT8MULTIRANGE(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("roll_ups_due_pkey")),
    )
    op.create_index(op.f("roll_ups_due_site_device"), "roll_ups_due", ["site", "device"])


def _retired() -> None:
    op.create_table(
        "retired",
        sa.Column("what", sa.Text(), nullable=False),
        *(sa.Column(each, sa.BigInteger(), nullable=False) for each in ("from_ms", "retired_at_ms", "end_ms", "rows")),
        sa.PrimaryKeyConstraint("what", "from_ms", "retired_at_ms", name=op.f("retired_pkey")),
    )
    op.create_table(
        "retired_readings",
        *(sa.Column(each, sa.Text(), nullable=False) for each in ("site", "device", "boot")),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "boot", name=op.f("retired_readings_pkey")),
    )
