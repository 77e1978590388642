"""Backups of a store that a running engine may be using, and old content in files of its own.

`taking` writes a backup, `restoring` puts one into an empty store, `verifying` reads one
without; `manifest` is what a backup says about itself and which others it needs.  `ends` is what
they ask of a database.  `archiving` moves old content out of the store, `searching` finds it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from engine.store.backup import sqlite_ends
from engine.store.backup.ends import Changing, Loading, Snapshot
from engine.store.database import Database
from engine.store.postgresql import PostgresDatabase
from engine.store.postgresql import ends as postgresql_ends
from engine.store.sqlite import SqliteDatabase

__all__ = ["Changing", "Loading", "Snapshot", "changing", "loading", "snapshot"]


def snapshot(database: Database) -> AbstractContextManager[Snapshot]:
    """The store as it is now.  Raises the driver's errors."""
    if isinstance(database, PostgresDatabase):
        return postgresql_ends.snapshot(database)
    assert isinstance(database, SqliteDatabase)  # noqa: S101  # there are two
    return sqlite_ends.snapshot(database)


def loading(database: Database) -> AbstractContextManager[Loading]:
    """An empty store that can be filled.  Raises BackupError where it is not empty."""
    if isinstance(database, PostgresDatabase):
        return postgresql_ends.loading(database)
    assert isinstance(database, SqliteDatabase)  # noqa: S101  # there are two
    return sqlite_ends.loading(database)


def changing(database: Database) -> AbstractContextManager[Changing]:
    """A connection that writes, beside a running engine.  Raises the driver's errors."""
    if isinstance(database, PostgresDatabase):
        return postgresql_ends.changing(database)
    assert isinstance(database, SqliteDatabase)  # noqa: S101  # there are two
    return sqlite_ends.changing(database)
