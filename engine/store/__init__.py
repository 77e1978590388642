"""What was promised, durably: messages, deliveries, events, search, retention.

``open_store`` gives the `MessageStore` for a URL.  How it works, from the outside in: `store` is
the class; `requests` wait for the `writer` (one thread, group commit), which turns a batch into
rows with the `ledger`; `readers` answer everything else from their own connections.  All of them
speak to a `database`: `sqlite`, or `postgresql`.

Several engines on one PostgreSQL store:

- Each process has a data folder of its own; host and folder are its name, and the folder's lock
  keeps a name from living twice.  Each start is a new life: a row in ``node`` with a lease, which
  `membership` renews once a second by the database's clock.
- A transaction of a life that ended fails (``STORE-FENCED``).  `SqlStore.members` says so too
  (``given_up``): such a process can only end and be started again.
- A delivery's ``owner`` is the life that has it in hand: who accepted it, then who began to send
  it.  ``outbox(mine=True)`` shows one's own; without, the lane as all engines see it, by id.
- Ids rise from an acknowledged message to the next one, also between engines; of two that are
  accepted at once the lower may be committed last.  So a reader by id must go back to the lowest id
  that is announced to it, or read what is its own.
- A dedup key has one winner among all engines.
- `SqlStore.recover` may be called at any time.  It ends the lives whose lease ran out (after the
  database could be reached for as long as a lease), makes their begun sends UNCERTAIN, flags the
  rest as possible duplicates, and makes all of it this engine's; what a clean stop left is taken
  without a flag.  Deliveries of living engines are never touched.  One engine does it at a time.
- ``members.acquire``, ``renew`` and ``release`` are named leases with an epoch, for what only one
  process may do.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from engine.contract import ConfigError, ErrorInfo, Stage
from engine.store.database import Database
from engine.store.postgresql import PostgresDatabase
from engine.store.sqlite import SqliteDatabase
from engine.store.store import SqlStore

__all__ = ["PostgresDatabase", "SqlStore", "SqliteDatabase", "open_database", "open_store"]


def open_store(url: str, *, data: Path) -> SqlStore:
    """The store of ``CAREBUS_STORE_URL``, not opened yet: ``await store.open()``.

    ``sqlite://`` is ``carebus.db`` in the folder ``data``; ``sqlite:///path`` another file.
    Large content and the lock are always in ``data``.  Raises ConfigError.
    """
    return SqlStore(open_database(url, data=data), data)


def open_database(url: str, *, data: Path) -> Database:
    """The database alone, as `open_store` would use it.  Raises ConfigError."""
    if url.startswith(("postgresql://", "postgres://")):
        try:
            return PostgresDatabase(url)
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
    return SqliteDatabase(path)


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
