"""Statements that are executed often: compiled once for each database.

A batch of rows is written by one statement for each table, in whatever form the database takes it
fastest; that form is the database's own module's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Select, Table

from engine.store import schema
from engine.store.database import Connection, Row

_EXACT: Final = 32  # rows below which every number has its own statement
_LARGEST: Final = 128  # rows of one statement: a prepared one costs about 130 bytes a value


def cuts(rows: int, exact: int = _EXACT, largest: int = _LARGEST) -> Iterator[tuple[int, int]]:
    """(start, size) of the parts that ``rows`` is cut into, largest first: powers of two, then a
    rest below ``exact``.  So few statements exist, and a driver keeps all of them prepared."""
    start = 0
    size = largest
    while start < rows:
        left = rows - start
        while size > left and size > exact:
            size //= 2
        yield start, min(size, left)
        start += size


class Read:
    """A select without binary columns; called with the values of its parameters."""

    __slots__ = ("compiled", "select")

    def __init__(self, select: Select[Any]) -> None:
        self.select = select
        self.compiled: Any = None
        """Belongs to the database's module."""

    def __call__(self, connection: Connection, **values: Any) -> Sequence[Sequence[Any]]:
        return connection.read(self, values)


class Insert:
    """``INSERT INTO table``, one tuple for each row, in the order of the table's columns; ``tail``
    says what happens to a row that is there already."""

    __slots__ = ("compiled", "table", "tail")

    def __init__(self, table: Table, tail: str = "") -> None:
        self.table = table
        self.tail = tail
        self.compiled: Any = None

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        if rows:
            connection.insert(self, rows)


_STICKY: Final = ("possible_duplicate",)
"""Flags that a later step does not take away."""


class Change:
    """``UPDATE delivery``: each tuple is (id, value …), applied where the state is one of
    ``states``; the count of changed rows shows whether all of them were."""

    __slots__ = ("columns", "compiled", "settings", "where")

    def __init__(self, columns: Sequence[str], states: Sequence[str]) -> None:
        listed = ", ".join(f"'{state}'" for state in states)
        self.columns = ("id", *columns)
        self.settings = ", ".join(
            f"{name} = delivery.{name} | new.{name}" if name in _STICKY else f"{name} = new.{name}"
            for name in columns
        )
        self.where = f"delivery.id = new.id AND delivery.state IN ({listed})"
        self.compiled: Any = None

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Returns how many rows changed."""
        return connection.change(self, rows) if rows else 0


INSERT_MESSAGES: Final = Insert(schema.message)
INSERT_CONTENTS: Final = Insert(schema.content)
INSERT_DELIVERIES: Final = Insert(schema.delivery)
INSERT_KEYS: Final = Insert(schema.message_key)
INSERT_EVENTS: Final = Insert(schema.event)
INSERT_EXCHANGES: Final = Insert(schema.exchange)
WIDEN_BLOCKS: Final = Insert(
    schema.block_time,
    " ON CONFLICT (block) DO UPDATE SET"
    " first_at = CASE WHEN excluded.first_at < block_time.first_at"
    " THEN excluded.first_at ELSE block_time.first_at END,"
    " last_at = CASE WHEN excluded.last_at > block_time.last_at"
    " THEN excluded.last_at ELSE block_time.last_at END",
)
REMEMBER_KEYS: Final = Insert(
    schema.dedup,
    " ON CONFLICT (digest) DO UPDATE SET message = excluded.message, at = excluded.at,"
    " expires_at = excluded.expires_at WHERE dedup.message <> excluded.message",
)
