"""Statements that write many rows at once.

The driver gives the interpreter lock away and takes it back several times around every execution,
and beside a busy event loop each time may wait a whole switch interval.  So a batch costs one
execution, seldom two or three, for each table and not one for each row.  Above a small number, rows
are cut into powers of two, so that few statements exist and the driver keeps all of them prepared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Table, insert

from engine.store import schema
from engine.store.sqlite import DIALECT, Connection

Row = tuple[Any, ...]

_EXACT: Final = 32  # rows below which every number has its own statement
_LARGEST: Final = 128  # rows of one statement: a prepared one costs about 130 bytes a value


def cuts(rows: int, exact: int = _EXACT, largest: int = _LARGEST) -> Iterator[tuple[int, int]]:
    """(start, size) of the parts that ``rows`` is cut into, largest first: powers of two, then a
    rest below ``exact``."""
    start = 0
    size = largest
    while start < rows:
        left = rows - start
        while size > left and size > exact:
            size //= 2
        yield start, min(size, left)
        start += size


class _Many:
    """One statement text for each size, made when it is first needed."""

    def __init__(self, head: str, row: str, tail: str, columns: int) -> None:
        self._head, self._row, self._tail = head, row, tail
        self._exact = _EXACT if columns > 8 else 2 * _EXACT
        self._texts: dict[int, str] = {}

    def execute(self, connection: Connection, rows: Sequence[Row]) -> int:
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


class Insert(_Many):
    """``INSERT INTO table``, one tuple for each row, in the order of the table's columns."""

    def __init__(self, table: Table, conflict: str = "") -> None:
        text = str(insert(table).compile(dialect=DIALECT))
        head, _, row = text.partition(" VALUES ")
        super().__init__(head + " VALUES ", row, conflict, len(table.columns))


_STICKY: Final = ("possible_duplicate",)
"""Flags that a later step does not take away."""


class Change(_Many):
    """``UPDATE delivery``: each tuple is (id, value …), applied where the state is one of
    ``states``; the count of changed rows shows whether all of them were."""

    def __init__(self, columns: Sequence[str], states: Sequence[str]) -> None:
        names = ", ".join(columns)
        settings = ", ".join(
            f"{name} = delivery.{name} | new.{name}" if name in _STICKY else f"{name} = new.{name}"
            for name in columns
        )
        listed = ", ".join(f"'{state}'" for state in states)
        # UPDATE comes first: the driver counts changed rows only of what begins so
        super().__init__(
            f"UPDATE delivery SET {settings} FROM (WITH given (id, {names}) AS (VALUES ",  # noqa: S608
            f"({', '.join('?' * (len(columns) + 1))})",
            ") SELECT * FROM given) AS new"  # noqa: S608
            f" WHERE delivery.id = new.id AND delivery.state IN ({listed})",
            len(columns) + 1,
        )


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
    " expires_at = excluded.expires_at",
)
