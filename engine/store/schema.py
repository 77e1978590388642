"""The tables of the store.

Metadata only; `engine.store.migrations` makes them, and a test keeps both the same.  Times are
microseconds since 1970 UTC.  Three decisions keep acceptance as fast with a million messages
stored as with none: every index grows at its end (``seq`` and the ids only rise), a message's
deliveries have consecutive ids (so they need no index), and the search keys are clustered by
blocks of messages (so an insert touches only the newest block, however many there are).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    column,
    text,
)
from sqlalchemy.sql.elements import ColumnElement

from engine.store.states import NOT_ROUTED, TROUBLED, UNFINISHED

REVISION: Final = "0003"
"""The migration this code was written for."""

BLOCK: Final = 4096
"""Messages of one block of search keys.  A constant of the stored data: changing it needs a
migration.  Small enough that inserting touches few pages, large enough that a search over a
million messages makes 250 seeks."""

_ID = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's row id must be INTEGER

metadata = MetaData()


def state_in(*states: str, table: str = "") -> ColumnElement[bool]:
    """``state IN ('…')`` with literals: only so may a planner use a partial index."""
    listed = ", ".join(f"'{state}'" for state in states)
    name = f"{table}.state" if table else "state"
    return column(f"{name} IN ({listed})", is_literal=True)


def _partial(name: str, *columns: str, where: ColumnElement[bool]) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


message = Table(
    "message",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("control_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("peer", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("config_version", Text, nullable=False),
    Column("delivery", BigInteger, nullable=False),  # the first of its deliveries …
    Column("fanout", Integer, nullable=False),  # … and how many ids follow each other
    Column("search_keys", Text),  # JSON object, the search keys as given
    Column("error", Text),  # JSON of ErrorInfo
    Column("parents", Text),  # message ids with spaces between
    Column("attributes", Text),  # JSON object
    Index("message_id", "id", unique=True),
    Index("message_channel", "channel", "seq"),
    Index("message_type", "type", "seq"),
    _partial(
        "message_not_routed",
        "state",
        "seq",
        where=state_in(*NOT_ROUTED),
    ),
)

content = Table(
    "content",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
    Column("body", LargeBinary),  # NULL: in the content folder under `file`
    Column("file", Text),
    Column("content_type", Text, nullable=False),
    Column("charset", Text),
    _partial("content_file", "file", where=column("file IS NOT NULL", is_literal=True)),
    postgresql_partition_by="RANGE (seq)",
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("message", BigInteger, nullable=False),
    Column("route", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("key_hash", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("next_at", BigInteger),
    Column("begun", Integer, nullable=False),  # the attempt mark; 0: no send is under way
    Column("possible_duplicate", SmallInteger, nullable=False),
    Column("event", BigInteger, nullable=False),  # its newest event; 0: none yet
    # the node that has it in hand; 0: nobody, or there is only one
    Column("owner", BigInteger, nullable=False, server_default=text("0")),
    Index("delivery_channel", "channel", "message"),
    _partial("delivery_outbox", "channel", "lane", "id", "state", where=state_in(*UNFINISHED)),
    _partial(
        "delivery_troubled",
        "state",
        "message",
        where=state_in(*TROUBLED),
    ),
)

event = Table(
    "event",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("delivery", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("possible_duplicate", SmallInteger, nullable=False),
    Column("error", Text),  # JSON of ErrorInfo
    Column("actor", Text, nullable=False),
    Column("remote_id", Text),
    Column("mapping_version", Text, nullable=False),
    Column("route_version", Text, nullable=False),
    Index("event_delivery", "delivery"),
    postgresql_partition_by="RANGE (id)",
)

exchange = Table(
    "exchange",  # what was sent and what came back in one event
    metadata,
    Column("event", _ID, primary_key=True, autoincrement=False),
    Column("sent", LargeBinary),
    Column("sent_file", Text),
    Column("sent_type", Text),
    Column("sent_charset", Text),
    Column("reply", LargeBinary),
    Column("reply_file", Text),
    Column("reply_type", Text),
    Column("reply_charset", Text),
    _partial(
        "exchange_sent_file", "sent_file", where=column("sent_file IS NOT NULL", is_literal=True)
    ),
    _partial(
        "exchange_reply_file", "reply_file", where=column("reply_file IS NOT NULL", is_literal=True)
    ),
    postgresql_partition_by="RANGE (event)",
)

message_key = Table(
    "message_key",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),  # seq // BLOCK
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

block_time = Table(
    "block_time",  # between which times the messages of a block were received, in whole minutes
    metadata,
    Column("block", _ID, primary_key=True, autoincrement=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

dedup = Table(
    "dedup",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # of channel and key
    Column("message", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("dedup_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

run = Table(
    "run",  # one row for each start of an engine on this store
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),  # NULL: running, or it did not stop cleanly
    # ids that were given and may have been purged: they are never given again
    Column("last_seq", BigInteger, nullable=False),
    Column("last_delivery", BigInteger, nullable=False),
    Column("last_event", BigInteger, nullable=False),
)

halt = Table(
    "halt",  # channels that a person stopped, for every engine on this store
    metadata,
    Column("channel", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

shared = MetaData()
"""What only a database has that several engines write to."""

node = Table(
    "node",  # one row for each life of an engine process
    shared,
    Column("id", BigInteger, primary_key=True),  # never given again: also the epoch
    Column("name", Text, nullable=False),  # of the process; two lives of it never overlap
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),  # alive if later than the database's clock
    Column("stopped_at", BigInteger),  # nothing is committed by this life any more
    Column("died", SmallInteger, nullable=False),  # … and what it had in hand is not looked at yet
    Column("mark", BigInteger, nullable=False),  # its commits, counted
)

node_status = Table(
    "node_status",  # what a living process says about itself: JSON without anything clinical
    shared,
    Column("node", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
)

counter = Table(
    "counter",  # one row: the highest ids ever given
    shared,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("delivery", BigInteger, nullable=False),
    Column("event", BigInteger, nullable=False),
)

lease = Table(
    "lease",  # what only one process may do at a time
    shared,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),  # rises with every change of hands
)
