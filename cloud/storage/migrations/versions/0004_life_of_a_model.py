"""Versions of models and their trials, verdicts of people, states of machines, drift, shadow scores and limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The newest promotion of a device is in force, as the store itself reads it. Exceedance, factor and the program's
# version of these models are known to their runs in MLflow alone.
_KNOWN_VERSIONS = """
INSERT INTO model_versions (
    site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows, trained_from_ms, trained_through_ms,
    created_at_ms, code_version, status
)
SELECT site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows, trained_from_ms, trained_through_ms,
       promoted_at_ms, '',
       CASE WHEN row_number() OVER (PARTITION BY site, device ORDER BY promoted_at_ms DESC, version DESC) = 1
            THEN 'champion' ELSE 'retired' END
FROM promotions
"""


# What the first user may do is decided when it is made, so that an administrator may take it away again.
_NEW_RIGHTS = """
UPDATE users SET scopes = scopes || ARRAY['alarms:write', 'models:write']
WHERE username = 'admin' AND 'devices:write' = ANY (scopes) AND NOT scopes && ARRAY['alarms:write', 'models:write']
"""


def upgrade() -> None:
    op.add_column("promotions", sa.Column("mirrored", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("detector_states", sa.Column("drift", sa.LargeBinary(), nullable=True))
    _model_versions()
    op.execute(_KNOWN_VERSIONS)
    _verdicts()
    _backtests()
    _classifiers()
    _machine_states()
    _input_drifts()
    _model_refusals()
    _shadow_scores()
    _device_limits()
    op.execute(_NEW_RIGHTS)


def _model_versions() -> None:
    op.create_table(
        "model_versions",
        *_texts("site", "device", "version", "name", "run_id", "sha256", "data_hash", "artifact_uri"),
        *_numbers("rows", "trained_from_ms", "trained_through_ms", "created_at_ms"),
        sa.Column("exceedance", sa.Double(), nullable=True),
        sa.Column("factor", sa.Double(), nullable=True),
        *_texts("code_version", "status"),
        sa.Column("excluded", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("format", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "version", name=op.f("model_versions_pkey")),
    )


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        *_texts("anomaly_id", "site", "device", "verdict"),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        *_texts("given_by"),
        *_numbers("given_at_ms"),
        *_texts("model_version"),
        sa.PrimaryKeyConstraint("anomaly_id", name=op.f("verdicts_pkey")),
    )
    op.create_index(op.f("verdicts_site_device"), "verdicts", ["site", "device"])


def _backtests() -> None:
    op.create_table(
        "backtests",
        *_texts("id", "site", "device", "version"),
        sa.Column("against", sa.Text(), nullable=True),
        *_numbers("from_ms", "through_ms", "readings"),
        *_documents("appeared", "vanished"),
        *_numbers("kept"),
        *_texts("decision", "reason"),
        *_numbers("at_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("backtests_pkey")),
    )
    op.create_index(op.f("backtests_site_device_version"), "backtests", ["site", "device", "version"])


def _classifiers() -> None:
    op.create_table(
        "classifiers",
        *_texts("site", "version", "name", "run_id", "sha256", "artifact_uri"),
        *_documents("learned"),
        *_numbers("promoted_at_ms"),
        sa.PrimaryKeyConstraint("site", "version", name=op.f("classifiers_pkey")),
    )


def _machine_states() -> None:
    op.create_table(
        "machine_states",
        *_texts("site", "device"),
        *_documents("event"),
        *_numbers("measured_at_ms", "at_ms"),
        sa.PrimaryKeyConstraint("site", "device", name=op.f("machine_states_pkey")),
    )


def _input_drifts() -> None:
    op.create_table(
        "input_drifts",
        *_texts("id", "site", "device"),
        *_numbers("through_ms"),
        *_documents("event"),
        sa.PrimaryKeyConstraint("id", name=op.f("input_drifts_pkey")),
    )
    op.create_index(op.f("input_drifts_site_device_through_ms"), "input_drifts", ["site", "device", "through_ms"])


def _model_refusals() -> None:
    op.create_table(
        "model_refusals",
        *_texts("id", "site", "device", "version"),
        *_documents("event"),
        *_numbers("at_ms"),
        sa.PrimaryKeyConstraint("id", name=op.f("model_refusals_pkey")),
    )
    op.create_index(op.f("model_refusals_site_device_at_ms"), "model_refusals", ["site", "device", "at_ms"])


def _shadow_scores() -> None:
    op.create_table(
        "shadow_scores",
        *_texts("site", "device", "version", "champion"),
        *_numbers("from_ms", "through_ms", "rows", "beyond_both", "beyond_champion", "beyond_challenger"),
        sa.PrimaryKeyConstraint("site", "device", "version", "champion", "from_ms", name=op.f("shadow_scores_pkey")),
    )


def _device_limits() -> None:
    op.create_table(
        "device_limits",
        *_texts("site", "device", "metric", "severity", "source"),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("site", "device", "metric", "severity", "source", name=op.f("device_limits_pkey")),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _documents(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, postgresql.JSONB(), nullable=False) for name in names]
