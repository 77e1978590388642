"""Several engines on one store: who has a delivery in hand, who lives, who may."""

from alembic import op
from sqlalchemy import BigInteger, Column, SmallInteger, Text, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("delivery", Column("owner", BigInteger, nullable=False, server_default=text("0")))
    if op.get_bind().dialect.name == "sqlite":
        return
    op.create_table(
        "node",
        Column("id", BigInteger, primary_key=True),
        Column("name", Text, nullable=False),
        Column("started_at", BigInteger, nullable=False),
        Column("lease_until", BigInteger, nullable=False),
        Column("stopped_at", BigInteger),
        Column("died", SmallInteger, nullable=False),
        Column("mark", BigInteger, nullable=False),
    )
    op.create_table(
        "counter",
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("seq", BigInteger, nullable=False),
        Column("delivery", BigInteger, nullable=False),
        Column("event", BigInteger, nullable=False),
    )
    op.execute("INSERT INTO counter (id, seq, delivery, event) VALUES (1, 0, 0, 0)")
    op.create_table(
        "lease",
        Column("name", Text, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("until", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
    )
