"""Contents, events and exchanges by day: made ahead of time, dropped as a whole.

The ids that `connection` gives begin anew with every day, so a range of ids is a day.  What fits no
partition goes into a default one, so that an insert never fails for want of one.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from psycopg import errors

from engine.store.postgresql.connection import DAY, DAY_IDS, UNFINISHED_SQL, Raw

TABLES: Final = ("content", "event", "exchange")
DAYS_AHEAD: Final = 7
DAY_MICROS: Final = 86_400_000_000


def make_ahead(connection: Raw) -> None:
    """The default partitions, and those of today and the next days.  May run beside others."""
    today: Any = _one(connection, f"SELECT {DAY}")
    for table in TABLES:
        _make(connection, f"{table}_default", table, "DEFAULT")
        for day in range(today, today + DAYS_AHEAD + 1):
            bounds = f"FOR VALUES FROM ({day * DAY_IDS}) TO ({(day + 1) * DAY_IDS})"
            _make(connection, name(table, day), table, bounds)


def drop(connection: Raw, content_before: int, events_before: int) -> int:
    """Drop the days that ended before these times (microseconds) and hold nothing that is still to
    be sent; returns how many partitions.  Costs the same for a hundred rows and ten million."""
    text = f"SELECT min(message) FROM delivery WHERE {UNFINISHED_SQL}"  # noqa: S608
    oldest: Any = _one(connection, text)
    dropped = 0
    for table in TABLES:
        before = events_before if table == "event" else content_before
        end = min(before // DAY_MICROS, DAY_IDS if oldest is None else oldest // DAY_IDS)
        rows = connection.execute(
            "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass($1)",
            (table,),
        ).fetchall()
        for (partition,) in rows:
            day = partition.removeprefix(f"{table}_d")
            if day.isdigit() and int(day) < end:
                connection.execute(f"DROP TABLE IF EXISTS {partition}")
                dropped += 1
    return dropped


def name(table: str, day: int) -> str:
    """``day`` counts from 1970-01-01, UTC."""
    return f"{table}_d{day}"


def _make(connection: Raw, partition: str, table: str, bounds: str) -> None:
    if _one(connection, "SELECT to_regclass($1)::text", partition) is not None:
        return
    # Another engine made it just now; or the default one has rows of it, and goes on taking them.
    with suppress(errors.DuplicateTable, errors.UniqueViolation, errors.CheckViolation):
        connection.execute(f"CREATE TABLE {partition} PARTITION OF {table} {bounds}")


def _one(connection: Raw, text: str, *values: str) -> object:
    row = connection.execute(text, values).fetchone()
    return None if row is None else row[0]
