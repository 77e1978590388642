"""Channels that a person stopped; what each engine process says about itself."""

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "halt",
        Column("channel", Text, primary_key=True),
        Column("at", BigInteger, nullable=False),
        Column("actor", Text, nullable=False),
        Column("reason", Text, nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        return
    op.create_table(
        "node_status",
        Column("node", BigInteger, primary_key=True, autoincrement=False),
        Column("status", Text, nullable=False),
    )
