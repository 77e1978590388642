"""Run by Alembic: applies the migrations on the connection it is handed, nothing else."""

from alembic import context

from engine.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
