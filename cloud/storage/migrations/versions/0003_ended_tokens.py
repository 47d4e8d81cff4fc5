"""Tokens whose owner logged out before their end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name=op.f("ended_tokens_pkey")),
    )
    op.create_index(op.f("ended_tokens_ended_at_ms"), "ended_tokens", ["ended_at_ms"])
