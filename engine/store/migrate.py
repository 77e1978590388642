"""Bring a database to the schema this code was written for.

An up-to-date database costs one small read: Alembic is loaded only when there is work.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.store import failures
from engine.store.schema import REVISION


def is_current(found: str | None) -> bool:
    """Whether nothing is to be done.  Raises StoreUnavailable when the database was written by a
    newer engine."""
    if found is not None and found > REVISION:
        raise failures.unavailable(
            "STORE-NEWER",
            "the database was written by a newer engine",
            "start that engine again, or restore the backup made before the update",
        )
    return found == REVISION


def upgrade(url: str, connect: Callable[[], Any]) -> None:
    """On the driver's connection that ``connect`` gives, of the kind that ``url`` names, and in
    the transaction that is open on it."""
    # imported here: half a second that a start on an up-to-date database need not pay
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(url, creator=connect, poolclass=StaticPool)
    with engine.connect() as wrapped:
        config.attributes["connection"] = wrapped
        command.upgrade(config, "head")
        wrapped.commit()
