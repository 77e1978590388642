"""The first schema."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)

revision = "0001"
down_revision = None

_ID = BigInteger().with_variant(Integer(), "sqlite")


def _number(name: str = "id") -> Column[int]:
    return Column(name, _ID, primary_key=True, autoincrement=False)


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    condition = None if where is None else text(where)
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    op.create_table(
        "message",
        _number("seq"),
        Column("id", Text, nullable=False),
        Column("channel", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("control_id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("received_at", BigInteger, nullable=False),
        Column("peer", Text, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("config_version", Text, nullable=False),
        Column("delivery", BigInteger, nullable=False),
        Column("fanout", Integer, nullable=False),
        Column("search_keys", Text),
        Column("error", Text),
        Column("parents", Text),
        Column("attributes", Text),
    )
    op.create_index("message_id", "message", ["id"], unique=True)
    _index("message_channel", "message", "channel", "seq")
    _index("message_type", "message", "type", "seq")
    _index(
        "message_not_routed",
        "message",
        "state",
        "seq",
        where="state IN ('filtered', 'unrouted', 'rejected')",
    )
    op.create_table(
        "content",
        _number("seq"),
        Column("body", LargeBinary),
        Column("file", Text),
        Column("content_type", Text, nullable=False),
        Column("charset", Text),
        postgresql_partition_by="RANGE (seq)",
    )
    _index("content_file", "content", "file", where="file IS NOT NULL")
    op.create_table(
        "delivery",
        _number(),
        Column("message", BigInteger, nullable=False),
        Column("route", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("channel", Text, nullable=False),
        Column("lane", Integer, nullable=False),
        Column("key_hash", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("next_at", BigInteger),
        Column("begun", Integer, nullable=False),
        Column("possible_duplicate", SmallInteger, nullable=False),
        Column("event", BigInteger, nullable=False),
    )
    _index("delivery_channel", "delivery", "channel", "message")
    _index(
        "delivery_outbox",
        "delivery",
        "channel",
        "lane",
        "id",
        "state",
        where="state IN ('queued', 'retrying', 'uncertain')",
    )
    _index(
        "delivery_troubled",
        "delivery",
        "state",
        "message",
        where="state IN ('retrying', 'uncertain', 'dead', 'cancelled')",
    )
    op.create_table(
        "event",
        _number(),
        Column("delivery", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("possible_duplicate", SmallInteger, nullable=False),
        Column("error", Text),
        Column("actor", Text, nullable=False),
        Column("remote_id", Text),
        Column("mapping_version", Text, nullable=False),
        Column("route_version", Text, nullable=False),
        postgresql_partition_by="RANGE (id)",
    )
    _index("event_delivery", "event", "delivery")
    op.create_table(
        "exchange",
        _number("event"),
        Column("sent", LargeBinary),
        Column("sent_file", Text),
        Column("sent_type", Text),
        Column("sent_charset", Text),
        Column("reply", LargeBinary),
        Column("reply_file", Text),
        Column("reply_type", Text),
        Column("reply_charset", Text),
        postgresql_partition_by="RANGE (event)",
    )
    _index("exchange_sent_file", "exchange", "sent_file", where="sent_file IS NOT NULL")
    _index("exchange_reply_file", "exchange", "reply_file", where="reply_file IS NOT NULL")
    op.create_table(
        "message_key",
        Column("block", BigInteger, primary_key=True, autoincrement=False),
        Column("kind", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "block_time",
        _number("block"),
        Column("first_at", BigInteger, nullable=False),
        Column("last_at", BigInteger, nullable=False),
    )
    op.create_table(
        "dedup",
        Column("digest", LargeBinary, primary_key=True),
        Column("message", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    _index("dedup_expires_at", "dedup", "expires_at")
    op.create_table(
        "run",
        _number(),
        Column("started_at", BigInteger, nullable=False),
        Column("stopped_at", BigInteger),
        Column("last_seq", BigInteger, nullable=False),
        Column("last_delivery", BigInteger, nullable=False),
        Column("last_event", BigInteger, nullable=False),
    )
