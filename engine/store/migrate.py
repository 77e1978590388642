"""Bring a database to the schema this code was written for.

An up-to-date database costs one small read: Alembic is loaded only when there is work.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.store import failures, sqlite
from engine.store.schema import REVISION


def bring_up_to_date(path: Path) -> None:
    """Blocking; only while no store is open on ``path``.

    Raises StoreUnavailable when the database was written by a newer engine; a migration that
    fails leaves the database as it was.
    """
    connection = sqlite.connect_writer(path)
    try:
        found = _revision(connection)
        if found == REVISION:
            return
        if found is not None and found > REVISION:
            raise failures.unavailable(
                "STORE-NEWER",
                "the database was written by a newer engine",
                "start that engine again, or restore the backup made before the update",
            )
        _upgrade(connection)
        sqlite.fix_statistics(connection)
    finally:
        connection.close()


def _revision(connection: sqlite.Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_ERROR":  # no such table
            raise
        return None
    return None if row is None else str(row[0])


def _upgrade(connection: sqlite.Connection) -> None:
    # imported here: half a second that a start on an up-to-date database need not pay
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as wrapped:
        connection.execute("BEGIN IMMEDIATE")  # by hand: the driver begins none for CREATE TABLE
        config.attributes["connection"] = wrapped
        command.upgrade(config, "head")
        connection.commit()
