"""What was promised, durably: messages, deliveries, events, search, retention.

``open_store`` gives the `MessageStore` for a URL.  How it works, from the outside in: `store` is
the class; `requests` wait for the `writer` (one thread, group commit), which turns a batch into
rows with the `ledger`; `readers` answer everything else from their own connections.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from engine.contract import ConfigError, ErrorInfo, Stage
from engine.store.postgresql import PostgresDatabase
from engine.store.sqlite import SqliteDatabase
from engine.store.store import SqlStore

__all__ = ["PostgresDatabase", "SqlStore", "SqliteDatabase", "open_store"]


def open_store(url: str, *, data: Path) -> SqlStore:
    """The store of ``CAREBUS_STORE_URL``, not opened yet: ``await store.open()``.

    ``sqlite://`` is ``carebus.db`` in the folder ``data``; ``sqlite:///path`` another file.
    Large content and the lock are always in ``data``.  Raises ConfigError.
    """
    if url.startswith(("postgresql://", "postgres://")):
        try:
            return SqlStore(PostgresDatabase(url), data)
        except ValueError as error:
            raise _refused(str(error)) from None
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _refused("the store's URL cannot be read") from None
    if parsed.get_backend_name() != "sqlite":
        raise _refused(f"no store speaks {parsed.get_backend_name()} yet")
    if parsed.database == ":memory:":
        raise _refused("a store in memory would lose what was acknowledged")
    path = Path(parsed.database) if parsed.database else data / "carebus.db"
    return SqlStore(SqliteDatabase(path), data)


def _refused(summary: str) -> ConfigError:
    return ConfigError(
        ErrorInfo(
            "STORE-URL",
            summary,
            Stage.STORING,
            help="set CAREBUS_STORE_URL to sqlite:///path/to/file.db or"
            " postgresql://user:password@host/database",
        )
    )
