"""Run by Alembic: applies the migrations to the connection that `cloud.storage.migrate` hands over."""  # noqa: INP001  # Alembic runs it by its path

from __future__ import annotations

from alembic import context

from cloud.storage.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
