"""Everything that is true of SQLite only.

The driver gives the interpreter lock away and takes it back several times around every execution
and for every row that is read, and beside a busy event loop each time may wait a whole switch
interval.  So a batch costs one execution, seldom two or three, for each table and not one for each
row, and the rows of a read come as one text.

Durability: WAL with synchronous=FULL, so a commit returns after fsync.  Memory: bounded page
caches, no memory map.  The WAL is folded back by the writer itself when it commits, the only
moment at which no other writer can keep it from being emptied.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import insert
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from engine.contract import StoreRoom, StoreUnavailable
from engine.store import database, failures, migrate
from engine.store.database import Row
from engine.store.statements import Change, Insert, Read, cuts

Error = sqlite3.Error

_REFUSALS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)

DIALECT: Final = sqlite_dialect(paramstyle="qmark")
WRITER_CACHE_KIB: Final = 16 * 1024
READER_CACHE_KIB: Final = 4 * 1024
CHECKPOINT_PAGES: Final = 8000
"""Pages in the WAL (32 MB) after which a commit folds them into the database file."""

RESTART_AT: Final = 3
"""Readers that always overlap keep a commit from beginning the WAL anew; when it has grown to so
many times `CHECKPOINT_PAGES`, the writer waits for them once (see `restart_wal`)."""

_FREED_PAGES: Final = 2000
"""Given back to the disk with each batch of retention (8 MB)."""

_BUSY_SECONDS: Final = 10.0
_RESTART_SECONDS: Final = 0.5

# The planner's picture of a large store, written once: without it plans would depend on when
# somebody ran ANALYZE.  Numbers: rows, then rows for each value of the leading columns.
_STATISTICS: Final = (
    ("message", "message_id", "1000000 1"),
    ("message", "message_channel", "1000000 50000 1"),
    ("message", "message_type", "1000000 50000 1"),
    ("message", "message_not_routed", "1000 300 1"),
    ("delivery", "delivery_channel", "2000000 100000 1"),
    ("delivery", "delivery_outbox", "1000 100 20 1 1"),
    ("delivery", "delivery_troubled", "1000 300 1"),
    ("event", "event_delivery", "2000000 1"),
    ("content", "content_file", "1000 1"),
    ("exchange", "exchange_sent_file", "1000 1"),
    ("exchange", "exchange_reply_file", "1000 1"),
    ("message_key", "message_key", "3000000 12000 3000 3 1"),
    ("dedup", "dedup", "100000 1"),
    ("dedup", "dedup_expires_at", "100000 1"),
)


def connect_writer(path: Path) -> Connection:
    """The one connection that writes.

    The first INSERT, UPDATE or DELETE begins a transaction, `commit` ends it: done by the driver,
    both take the interpreter lock once and not three times.
    """
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_SECONDS,
        isolation_level="IMMEDIATE",
        factory=Connection,
        check_same_thread=False,  # opened and closed beside the thread that uses it
        cached_statements=512,
    )
    for pragma in (
        "page_size=4096",
        "auto_vacuum=INCREMENTAL",  # before the first table; pages of purged content go back
        "journal_mode=WAL",
        "synchronous=FULL",
        f"cache_size=-{WRITER_CACHE_KIB}",
        "mmap_size=0",
        "temp_store=MEMORY",
        "secure_delete=ON",  # purged content is overwritten, not only unlinked
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        f"journal_size_limit={64 * 1024 * 1024}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def restart_wal(connection: database.Connection, path: Path) -> bool:
    """Empty the WAL if it is too long: no new reader begins on it, and those that are at it are
    waited for, `_RESTART_SECONDS` at most.  Called between transactions.  False when a reader was
    slower."""
    try:
        size = path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return True
    if size <= RESTART_AT * CHECKPOINT_PAGES * 4096:
        return True
    connection.execute(f"PRAGMA busy_timeout={int(_RESTART_SECONDS * 1000)}").fetchall()
    busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}").fetchall()
    return not busy


def connect_reader(path: Path) -> Connection:
    """Sees committed data only and cannot write."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        factory=Connection,
        check_same_thread=False,
        cached_statements=128,
    )
    for pragma in ("query_only=ON", f"cache_size=-{READER_CACHE_KIB}", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def fix_statistics(connection: Connection) -> None:
    """Make the planner see a large store, also while it is small."""
    connection.execute("ANALYZE sqlite_schema")
    connection.execute("DELETE FROM sqlite_stat1")
    connection.executemany(
        "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", _STATISTICS
    )
    connection.commit()
    connection.execute("ANALYZE sqlite_schema")


class _Many:
    """One statement text for each number of rows, made when it is first needed."""

    def __init__(self, head: str, row: str, tail: str, columns: int) -> None:
        self._head, self._row, self._tail = head, row, tail
        self._exact = 32 if columns > 8 else 64
        self._texts: dict[int, str] = {}

    def execute(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Returns how many rows changed."""
        changed = 0
        for start, size in cuts(len(rows), self._exact):
            text = self._texts.get(size)
            if text is None:
                text = f"{self._head}{', '.join([self._row] * size)}{self._tail}"
                self._texts[size] = text
            values = list(chain.from_iterable(rows[start : start + size]))
            # executemany with one row: it does not ask for the last row id, which costs the lock
            changed += connection.executemany(text, (values,)).rowcount
        return changed


class _Picked:
    """A select whose rows are packed into one JSON text."""

    def __init__(self, read: Read) -> None:
        compiled = read.select.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        columns = ", ".join(f"c{number}" for number in range(len(read.select.selected_columns)))
        self.text = (
            f"WITH picked({columns}) AS ({compiled.string}) "  # noqa: S608
            f"SELECT json_group_array(json_array({columns})) FROM picked"
        )
        self.names = compiled.positiontup or []
        self.values = compiled.params


class Connection(sqlite3.Connection):
    """`engine.store.database.Connection`."""

    def read(self, read: Read, values: Mapping[str, Any], /) -> Sequence[Sequence[Any]]:
        picked: _Picked = read.compiled
        if not isinstance(picked, _Picked):
            read.compiled = picked = _Picked(read)
        known = {**picked.values, **values}
        bound = [known[name] for name in picked.names]
        (packed,) = self.execute(picked.text, bound).fetchone()
        rows: list[list[Any]] = orjson.loads(packed)
        return rows

    def insert(self, insert: Insert, rows: Sequence[Row], /) -> None:
        if not isinstance(insert.compiled, _Many):
            insert.compiled = _inserting(insert)
        insert.compiled.execute(self, rows)

    def change(self, change: Change, rows: Sequence[Row], /) -> int:
        if not isinstance(change.compiled, _Many):
            change.compiled = _changing(change)
        changed: int = change.compiled.execute(self, rows)
        return changed

    def claim_keys(self, keys: Sequence[Row], /) -> Mapping[bytes, tuple[str, int]]:
        """There is one writer: nobody else makes a key known."""
        known: dict[bytes, tuple[str, int]] = {}
        for start, size in cuts(len(keys)):
            marks = ", ".join("?" * size)
            rows = self.execute(
                f"SELECT digest, message, at FROM dedup WHERE digest IN ({marks})",  # noqa: S608
                [key[0] for key in keys[start : start + size]],
            )
            known.update((digest, (message, at)) for digest, message, at in rows)
        return known

    def tell(self, notice: str, /) -> None:
        """Nobody else has it open."""

    def take_over(self, owners: Sequence[int], to: int, *, flag: bool, limit: int) -> int:
        """There is nobody to take from."""
        return 0

    def committed(self, mark: int, /) -> bool:
        """A commit of the engine's own file never ends unknown."""
        return False

    def reserve(self, seqs: int, deliveries: int, events: int, /) -> None:
        return None


def _inserting(given: Insert) -> _Many:
    text = str(insert(given.table).compile(dialect=DIALECT))
    head, _, row = text.partition(" VALUES ")
    return _Many(head + " VALUES ", row, given.tail, len(given.table.columns))


def _changing(given: Change) -> _Many:
    # UPDATE comes first: the driver counts changed rows only of what begins so
    return _Many(
        f"UPDATE delivery SET {given.settings}"  # noqa: S608
        f" FROM (WITH given ({', '.join(given.columns)}) AS (VALUES ",
        f"({', '.join('?' * len(given.columns))})",
        f") SELECT * FROM given) AS new WHERE {given.where}",  # noqa: S608
        len(given.columns),
    )


def free_pages(connection: database.Connection, pages: int) -> None:
    """Give at most ``pages`` unused pages of the file back to the disk."""
    connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()


def files(path: Path) -> Sequence[Path]:
    """What the database consists of on disk."""
    return (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))


def translate(error: Exception) -> StoreUnavailable:
    """The documented error for any of the driver's; its text may hold values, so it is left out."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if name.startswith("SQLITE_FULL"):
        return failures.unavailable(
            "STORE-FULL", "the disk of the store is full", "free space or shorten `keep:`"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return failures.unavailable(
            "STORE-BUSY",
            "another program holds the database",
            "close the program that has the database open for writing",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return failures.unavailable(
            "STORE-DAMAGED",
            "the database file is damaged",
            "stop the engine, keep a copy of the data folder, restore the last backup",
        )
    if name.startswith(("SQLITE_CONSTRAINT", "SQLITE_MISMATCH")):
        return failures.unavailable("STORE-CONSTRAINT", f"the database refused a row ({name})")
    return failures.unavailable("STORE-IO", f"the database failed ({name})")


class SqliteDatabase:
    """`engine.store.database.Database`: one file, one engine."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    nodes: None = None
    files = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        bring_up_to_date(self.path)

    def connect_writer(self) -> Connection:
        return connect_writer(self.path)

    def connect_reader(self) -> Connection:
        return connect_reader(self.path)

    def tidy(self, connection: database.Connection) -> bool:
        return restart_wal(connection, self.path)

    def give_back(self, connection: database.Connection) -> None:
        free_pages(connection, _FREED_PAGES)

    def roll(self, content_before: int, events_before: int) -> int:
        return 0

    def room(self) -> StoreRoom:
        """Two or three system calls; cheap enough for once a second."""
        try:
            disk = os.statvfs(self.path.parent)
        except OSError as error:
            raise failures.unusable(error) from None
        used = 0
        for file in files(self.path):
            try:
                used += file.stat().st_size
            except FileNotFoundError:
                continue  # no WAL yet
        return StoreRoom(
            bytes_free=disk.f_bavail * disk.f_frsize,
            bytes_total=disk.f_blocks * disk.f_frsize,
            bytes_used=used,
        )

    def is_refusal(self, error: Exception) -> bool:
        return isinstance(error, _REFUSALS)

    def is_lost(self, error: Exception) -> bool:
        return getattr(error, "sqlite_errorname", "").startswith(
            ("SQLITE_IOERR", "SQLITE_CANTOPEN")
        )

    def translate(self, error: Exception) -> StoreUnavailable:
        return translate(error)


def bring_up_to_date(path: Path) -> None:
    """Blocking; only while no store is open on ``path``.

    Raises StoreUnavailable when the database was written by a newer engine; a migration that
    fails leaves the database as it was.
    """
    connection = connect_writer(path)
    try:
        if migrate.is_current(_revision(connection)):
            return
        connection.execute("BEGIN IMMEDIATE")  # by hand: the driver begins none for CREATE TABLE
        migrate.upgrade("sqlite://", lambda: connection)
        connection.commit()
        fix_statistics(connection)
    finally:
        connection.close()


def _revision(connection: Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":  # no such table
            raise
        return None
    return None if row is None else str(row[0])
