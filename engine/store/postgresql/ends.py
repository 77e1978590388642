"""`engine.store.backup.ends` on PostgreSQL: COPY in a REPEATABLE READ transaction; the server's
disk is not touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from psycopg import pq

from engine.store.backup import failures
from engine.store.database import Cursor, Row, Values
from engine.store.postgresql.connection import UNFINISHED_SQL, Connection, Raw, clean
from engine.store.postgresql.server import PostgresDatabase

_TYPES: Final = {"int": "int8", "text": "text", "bytes": "bytea"}
_OVERLAP: Final = 600_000_000
"""Ids are given before their transaction, and several engines commit in any order; no transaction
of an engine may take longer than a tenth of this."""


class PostgresSnapshot:
    """Reads in the transaction that is open on ``raw``."""

    kind = "postgresql"
    overlap = _OVERLAP

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def rows(self, columns: Sequence[str], kinds: Sequence[str], source: str) -> Iterator[Row]:
        types = [_TYPES[kind] for kind in kinds]
        cast = ", ".join(f"{one}::{kind}" for one, kind in zip(columns, types, strict=True))
        with (
            self._raw.cursor() as cursor,
            cursor.copy(f"COPY (SELECT {cast} {source}) TO STDOUT (FORMAT BINARY)") as copy,
        ):
            copy.set_types(types)
            yield from copy.rows()

    def counters(self) -> Mapping[str, int]:
        row: Any = self._raw.execute("SELECT seq, delivery, event FROM counter").fetchone()
        return dict(zip(("seq", "delivery", "event"), row, strict=True))

    def revision(self) -> str:
        row: Any = self._raw.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0])


@contextmanager
def snapshot(database: PostgresDatabase) -> Iterator[PostgresSnapshot]:
    """Raises the driver's errors."""
    raw = database.connect_copying()
    try:
        raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield PostgresSnapshot(raw)
    finally:
        raw.close()


class PostgresLoading:
    """All of it is one transaction."""

    kind = "postgresql"
    files = False

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        kinds: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        names = ", ".join(columns)
        raw = self._raw
        types = self._types(table)
        raw.execute(
            f"CREATE TEMP TABLE loaded ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0"  # noqa: S608
        )
        with (
            raw.cursor() as cursor,
            cursor.copy(f"COPY loaded ({names}) FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types([types[name] for name in columns])
            for row in rows:
                copy.write_row([clean(value) if type(value) is str else value for value in row])
        raw.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM loaded ON CONFLICT DO NOTHING"  # noqa: S608
        )
        raw.execute("DROP TABLE loaded")

    def _types(self, table: str) -> dict[str, str]:
        rows: Any = self._raw.execute(
            "SELECT column_name, udt_name FROM information_schema.columns"
            " WHERE table_name = $1 AND table_schema = current_schema()",
            (table,),
        ).fetchall()
        return dict(rows)

    def settle(self, made_at: int, counters: Mapping[str, int], name: str) -> None:
        # A node that died: the first engine that starts takes over what it had in hand.
        row: Any = self._raw.execute(
            "INSERT INTO node (name, started_at, lease_until, stopped_at, died, mark)"
            " VALUES ($1, $2, $2, $2, 1, 0) RETURNING id",
            (name, made_at),
        ).fetchone()
        self._raw.execute("UPDATE delivery SET owner = 0 WHERE owner <> 0")
        self._raw.execute(
            f"UPDATE delivery SET owner = $1 WHERE {UNFINISHED_SQL}",  # noqa: S608
            (row[0],),
        )
        self._raw.execute(
            "UPDATE counter SET seq = greatest(seq, $1), delivery = greatest(delivery, $2),"
            " event = greatest(event, $3)",
            (counters["seq"], counters["delivery"], counters["event"]),
        )

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        yield PostgresSnapshot(self._raw)

    def finish(self) -> None:
        self._raw.execute("COMMIT")


@contextmanager
def loading(database: PostgresDatabase) -> Iterator[PostgresLoading]:
    """Raises BackupError when there are messages or living engines."""
    database.prepare()
    raw = database.connect_copying()
    try:
        raw.execute("BEGIN")
        raw.execute("LOCK TABLE message, node IN EXCLUSIVE MODE")
        row: Any = raw.execute(
            "SELECT EXISTS (SELECT 1 FROM message)"
            " OR EXISTS (SELECT 1 FROM node WHERE stopped_at IS NULL)"
        ).fetchone()
        if row[0]:
            raise failures.not_empty("CAREBUS_STORE_URL")
        yield PostgresLoading(raw)
    finally:
        raw.close()


class PostgresChanging:
    """Its rows are locked until it commits."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._connection = Connection(raw)

    def execute(self, text: str, values: Values = (), /) -> Cursor:
        if self._raw.info.transaction_status == pq.TransactionStatus.IDLE:
            self._raw.execute("BEGIN")
        return self._connection.execute(text, values)

    def commit(self) -> None:
        self._raw.execute("COMMIT")


@contextmanager
def changing(database: PostgresDatabase) -> Iterator[PostgresChanging]:
    """Raises the driver's errors."""
    raw = database.connect_copying()
    try:
        yield PostgresChanging(raw)
    finally:
        raw.close()
