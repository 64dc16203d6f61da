"""How Alembic reaches the database: always through the engine that `stores.migrate` hands over."""

from __future__ import annotations

from alembic import context

from mindbot_tasks.stores.every_table import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
