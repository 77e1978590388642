"""Connecting to PostgreSQL, what its errors mean, and its schema."""

from __future__ import annotations

import sys
import time
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8BinaryDumper

from engine.contract import StoreRoom, StoreUnavailable
from engine.store import database, failures, migrate
from engine.store.postgresql import partitions
from engine.store.postgresql.connection import Connection, Raw, register
from engine.store.postgresql.nodes import Nodes

CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 10
SILENT_SECONDS: Final = 10
"""A peer that does not answer for so long is gone, whatever the network says."""
ROOM_SECONDS: Final = 10.0

_PLANS: Final = (
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c random_page_cost=1.1"
    " -c jit=off"
)
"""Every statement seeks: plans that depend on statistics would change with what is stored, and on
an empty store a scan looks cheap, and stays in the prepared statement."""

_MIGRATING: Final = 0x6361_7265_6275_7301  # an advisory lock of this program's own

_REFUSALS: Final = (
    errors.IntegrityError,
    errors.DataError,
    errors.InterfaceError,
    errors.NotSupportedError,
    errors.ProgrammingError,
)
_BUSY: Final = (
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
)


class PostgresDatabase:
    """`engine.store.database.Database`: any number of engines.

    ``url`` is what libpq takes: also several hosts, of which the one that can be written to is
    used.  Raises ValueError when it cannot be read.
    """

    errors: tuple[type[Exception], ...] = (psycopg.Error,)
    files = False  # a file would be on one node only

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            raise ValueError("not a URL that PostgreSQL's library can read") from None
        fixed = {
            "connect_timeout": CONNECT_SECONDS,
            "target_session_attrs": "read-write",
            "keepalives_idle": 3,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": SILENT_SECONDS * 1000,
        }
        self._conninfo = make_conninfo(**{**fixed, **given})  # type: ignore[arg-type]
        self.nodes = Nodes(self._connect)
        self._room: StoreRoom | None = None
        self._room_until = 0.0

    def prepare(self) -> None:
        connection = self._connect("migration")
        try:
            if not migrate.is_current(_revision(connection)):
                self._upgrade(connection)
            partitions.make_ahead(connection)
        finally:
            connection.close()

    def _upgrade(self, waiting: Raw) -> None:
        """One engine at a time: who comes second finds nothing left to do."""
        waiting.execute("SET lock_timeout = '5min'")
        waiting.execute("SET statement_timeout = '5min'")
        waiting.execute("SELECT pg_advisory_lock($1)", (_MIGRATING,))
        if migrate.is_current(_revision(waiting)):
            return
        connection = psycopg.connect(self._conninfo)
        try:
            migrate.upgrade("postgresql+psycopg://", lambda: connection)
            connection.commit()
        finally:
            connection.close()

    def connect_writer(self) -> Connection:
        node = self.nodes.node
        raw = self._connect("writer")
        numbers: Raw | None = None
        try:
            # A number that is lost in a crash was lost with all that was given after it.
            numbers = self._connect("numbers")
            numbers.execute("SET synchronous_commit = off")
            raw.execute("SET synchronous_commit = on")
            raw.execute(f"SET idle_in_transaction_session_timeout = '{SILENT_SECONDS}s'")
            row = raw.execute("SELECT mark FROM node WHERE id = $1", (node,)).fetchone()
            return Connection(raw, node, numbers, 0 if row is None else row[0])
        except BaseException:
            raw.close()
            if numbers is not None:
                numbers.close()
            raise

    def connect_reader(self) -> Connection:
        raw = self._connect("reader")
        raw.execute("SET default_transaction_read_only = on")
        return Connection(raw)

    def connect_copying(self) -> Raw:
        """For a backup, an archive or a restore: statements may take as long as they need, and
        read whole tables."""
        raw = self._connect("copying")
        for setting in ("statement_timeout = 0", "enable_seqscan = on", "enable_hashjoin = on"):
            raw.execute(f"SET {setting}")
        return raw

    def tidy(self, connection: database.Connection) -> bool:
        return True

    def give_back(self, connection: database.Connection) -> None:
        """Autovacuum does it."""

    def roll(self, content_before: int, events_before: int) -> int:
        connection = self._connect("retention")
        try:
            connection.execute("SET lock_timeout = '2s'")  # else all others wait behind us
            partitions.make_ahead(connection)
            return partitions.drop(connection, content_before, events_before)
        finally:
            connection.close()

    def room(self) -> StoreRoom:
        """How much the server's disk can still take is not for a client to know; a full disk is
        refused by the server itself."""
        now = time.monotonic()
        if self._room is None or now > self._room_until:
            try:
                connection = self._connect("room")
                try:
                    row = connection.execute(
                        "SELECT pg_database_size(current_database())"
                    ).fetchone()
                finally:
                    connection.close()
            except psycopg.Error as error:
                raise self.translate(error) from None
            used = 0 if row is None else int(row[0])
            self._room = StoreRoom(sys.maxsize, sys.maxsize, used)
            self._room_until = now + ROOM_SECONDS
        return self._room

    def is_refusal(self, error: Exception) -> bool:
        if isinstance(error, errors.DivisionByZero):
            return False  # the check at a transaction's end
        return isinstance(error, _REFUSALS)

    def is_lost(self, error: Exception) -> bool:
        state = getattr(error, "sqlstate", None)
        if state is None:
            return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return str(state).startswith(("08", "57P"))

    def translate(self, error: Exception) -> StoreUnavailable:
        state = getattr(error, "sqlstate", None) or ""
        if isinstance(error, errors.DivisionByZero):
            return failures.fenced()
        if isinstance(error, errors.DiskFull | errors.OutOfMemory):
            return failures.unavailable(
                "STORE-FULL", "the disk of the database server is full", "free space there"
            )
        if isinstance(error, _BUSY):
            return failures.unavailable("STORE-BUSY", f"the database took too long ({state})")
        if state.startswith("28"):
            return failures.unavailable(
                "STORE-IO",
                "the database refused the account",
                "check the user and the password in CAREBUS_STORE_URL",
            )
        if state.startswith("23") or self.is_refusal(error):
            name = state or type(error).__name__
            return failures.unavailable("STORE-CONSTRAINT", f"the database refused a row ({name})")
        if self.is_lost(error):
            return failures.unavailable(
                "STORE-IO",
                "the database server cannot be reached",
                "check that it runs, and the host and port in CAREBUS_STORE_URL",
            )
        return failures.unavailable("STORE-IO", f"the database failed ({state})")

    def _connect(self, role: str) -> Raw:
        connection: Raw = psycopg.connect(
            self._conninfo,
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
            application_name=application(self.nodes.node, role),
            options=(
                f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"
                f" -c timezone=UTC {_PLANS}"
            ),
        )
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        register(connection)
        return connection


def application(node: int, role: str) -> str:
    """What the server shows of a connection, and knows a node's own ones by."""
    return f"carebus {node} {role}"


def _revision(connection: Raw) -> str | None:
    row: Any = connection.execute("SELECT to_regclass('alembic_version')::text").fetchone()
    if row[0] is None:
        return None
    found: Any = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else str(found[0])
