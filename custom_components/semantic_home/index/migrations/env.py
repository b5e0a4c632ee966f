"""Run by Alembic, from its file: migrates over the connection, and in the transaction, that it is handed."""

from alembic import context

# Alembic assumes that pysqlite commits before DDL; with a BEGIN of our own (database.py) it does not.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)

with context.begin_transaction():
    context.run_migrations()
