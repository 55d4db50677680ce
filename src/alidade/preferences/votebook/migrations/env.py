"""Run by Alembic: the migrations of the votebook whose connection is at hand, in one transaction."""

from alembic import context

from alidade.preferences.votebook.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
