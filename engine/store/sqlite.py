"""Everything that is true of SQLite only; PostgreSQL gets a module beside this one.

Durability: WAL with synchronous=FULL, so a commit returns after fsync.  Memory: bounded page
caches, no memory map.  The WAL is folded back by the writer itself when it commits, the only
moment at which no other writer can keep it from being emptied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Select
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from engine.contract import StoreUnavailable
from engine.store import failures

Connection = sqlite3.Connection
Error = sqlite3.Error

REFUSALS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""One row or value was refused; anything else concerns the whole database."""

DIALECT: Final = sqlite_dialect(paramstyle="qmark")
WRITER_CACHE_KIB: Final = 16 * 1024
READER_CACHE_KIB: Final = 4 * 1024
CHECKPOINT_PAGES: Final = 8000
"""Pages in the WAL (32 MB) after which a commit folds them into the database file."""

RESTART_AT: Final = 3
"""Readers that always overlap keep a commit from beginning the WAL anew; when it has grown to so
many times `CHECKPOINT_PAGES`, the writer waits for them once (see `restart_wal`)."""

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


def restart_wal(connection: Connection, path: Path) -> bool:
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


class Read:
    """A select without binary columns, compiled once; called with the values of its parameters.

    All rows come as one JSON text in one step: Python's driver takes the interpreter lock again for
    every row, and beside a busy event loop each time may wait a whole switch interval.
    """

    def __init__(self, select: Select[Any]) -> None:
        compiled = select.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        columns = ", ".join(f"c{number}" for number in range(len(select.selected_columns)))
        self._text = (
            f"WITH picked({columns}) AS ({compiled.string}) "  # noqa: S608
            f"SELECT json_group_array(json_array({columns})) FROM picked"
        )
        self._names = compiled.positiontup or []
        self._values = compiled.params

    def __call__(self, connection: Connection, **values: Any) -> list[list[Any]]:
        known = {**self._values, **values}
        bound = [known[name] for name in self._names]
        (packed,) = connection.execute(self._text, bound).fetchone()
        rows: list[list[Any]] = orjson.loads(packed)
        return rows


def free_pages(connection: Connection, pages: int) -> None:
    """Give at most ``pages`` unused pages of the file back to the disk."""
    connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()


def files(path: Path) -> Sequence[Path]:
    """What the database consists of on disk."""
    return (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the connection should be opened again before it is used."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN"))


def translate(error: sqlite3.Error) -> StoreUnavailable:
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
