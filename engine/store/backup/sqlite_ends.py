"""`engine.store.backup.ends` on SQLite."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

from engine.store import sqlite
from engine.store.backup import failures
from engine.store.backup.records import sync_folder
from engine.store.database import Cursor, Row, Values
from engine.store.sqlite import SqliteDatabase

_BATCH: Final = 2000
_RESTORING: Final = ".restoring"


class SqliteSnapshot:
    """A read transaction: the engine goes on writing to the WAL, which is folded back when
    it has ended."""

    kind = "sqlite"
    overlap = 0  # one writer: ids are committed in their order

    def __init__(self, connection: sqlite.Connection) -> None:
        self._connection = connection

    def rows(self, columns: Sequence[str], kinds: Sequence[str], source: str) -> Iterator[Row]:
        return iter(self._connection.execute(f"SELECT {', '.join(columns)} {source}"))

    def counters(self) -> Mapping[str, int]:
        given = self._connection.execute(
            "SELECT max(last_seq), max(last_delivery), max(last_event) FROM run"
        ).fetchone()
        there = self._connection.execute(
            "SELECT (SELECT max(seq) FROM message), (SELECT max(id) FROM delivery),"
            " (SELECT max(id) FROM event)"
        ).fetchone()
        names = ("seq", "delivery", "event")
        pairs = zip(names, given, there, strict=True)
        return {name: max(one or 0, other or 0) for name, one, other in pairs}

    def revision(self) -> str:
        return str(
            self._connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        )


@contextmanager
def snapshot(database: SqliteDatabase) -> Iterator[SqliteSnapshot]:
    """Raises the driver's errors."""
    connection = sqlite.connect_reader(database.path)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM alembic_version").fetchone()  # the moment is now
        yield SqliteSnapshot(connection)
    finally:
        connection.close()


class SqliteLoading:
    """Fills a file beside the final one, without a journal; renamed when all of it is on disk."""

    kind = "sqlite"
    files = True

    def __init__(self, final: Path) -> None:
        self._final = final
        self._path = final.with_name(final.name + _RESTORING)
        self.discard()
        SqliteDatabase(self._path).prepare()
        self._connection = sqlite.connect_writer(self._path)
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=OFF"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        kinds: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        marks = ", ".join("?" * len(columns))
        text = (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
            " ON CONFLICT DO NOTHING"
        )
        given = iter(rows)
        while batch := list(islice(given, _BATCH)):
            self._connection.executemany(text, batch)
        self._connection.commit()

    def settle(self, made_at: int, counters: Mapping[str, int], name: str) -> None:
        self._connection.execute("UPDATE delivery SET owner = 0 WHERE owner <> 0")
        self._connection.execute(
            "INSERT INTO run (id, started_at, last_seq, last_delivery, last_event)"
            " VALUES (1, ?, ?, ?, ?)",
            (made_at, counters["seq"], counters["delivery"], counters["event"]),
        )
        self._connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[SqliteSnapshot]:
        yield SqliteSnapshot(self._connection)

    def finish(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
        self._connection.close()
        number = os.open(self._path, os.O_RDWR)
        try:
            os.fchmod(number, 0o600)
            os.fsync(number)
        finally:
            os.close(number)
        for file in sqlite.files(self._final)[1:]:
            file.unlink(missing_ok=True)
        self._path.rename(self._final)
        sync_folder(self._final.parent)

    def close(self) -> None:
        """Idempotent; what is not finished is deleted."""
        with suppress(sqlite.Error):
            self._connection.close()
        self.discard()

    def discard(self) -> None:
        for file in sqlite.files(self._path):
            file.unlink(missing_ok=True)


@contextmanager
def loading(database: SqliteDatabase) -> Iterator[SqliteLoading]:
    """Raises BackupError when there are messages; the data folder's lock is the caller's."""
    if database.path.exists():
        connection = sqlite.connect_reader(database.path)
        try:
            tables = connection.execute(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'message'"
            ).fetchone()[0]
            if tables and connection.execute("SELECT 1 FROM message LIMIT 1").fetchone():
                raise failures.not_empty(str(database.path))
        finally:
            connection.close()
    target = SqliteLoading(database.path)
    try:
        yield target
    finally:
        target.close()


class SqliteChanging:
    """Waits for the engine's writer, which waits for this one: both are short."""

    def __init__(self, connection: sqlite.Connection) -> None:
        self._connection = connection

    def execute(self, text: str, values: Values = (), /) -> Cursor:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        return self._connection.execute(text, values)

    def commit(self) -> None:
        self._connection.commit()


@contextmanager
def changing(database: SqliteDatabase) -> Iterator[SqliteChanging]:
    """Raises the driver's errors."""
    connection = sqlite.connect_writer(database.path)
    try:
        yield SqliteChanging(connection)
    finally:
        connection.close()
