"""Which readings count as refused, apart from the quarantine's own bytes, so that these can be moved away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What the boots counted until now: a numbered reading that was refused and never stored. Numbers end at 2^53 - 1.
_COUNTED = """
INSERT INTO refused (boot, seq, site, device)
SELECT DISTINCT boot, seq, site, device
FROM rejected
WHERE boot IS NOT NULL AND seq BETWEEN 0 AND 9007199254740991 AND NOT EXISTS (
    SELECT FROM readings
    WHERE readings.boot = rejected.boot AND readings.seq = rejected.seq
      AND readings.site = rejected.site AND readings.device = rejected.device
)
"""


def upgrade() -> None:
    op.create_table(
        "refused",
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("boot", "seq", "site", "device", name="refused_pkey"),
    )
    op.execute(_COUNTED)
    op.add_column("rejected", sa.Column("replayed_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("rejected", sa.Column("settled_at_ms", sa.BigInteger(), nullable=True))
    op.create_table(
        "quarantine_archives",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("archived_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="quarantine_archives_pkey"),
    )
