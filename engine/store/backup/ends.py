"""What a backup asks of a database: a consistent view of all tables to read from, and an empty
store to write to.  `sqlite_ends` and `engine.store.postgresql.ends` each answer for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from engine.store.database import Cursor, Row, Values


class Snapshot(Protocol):
    """The store as it was at one moment, however long the reading takes.  One thread."""

    kind: str
    """``sqlite`` or ``postgresql``."""
    overlap: int
    """Microseconds: how long before the moment an id may have been given whose row is not there
    yet."""

    def rows(self, columns: Sequence[str], kinds: Sequence[str], source: str) -> Iterator[Row]:
        """``SELECT columns source`` in standard SQL, where ``source`` begins with FROM; ``kinds``
        are the names of the columns' types: ``int``, ``text``, ``bytes``.  A few rows are in memory
        at a time; one read after the other."""

    def counters(self) -> Mapping[str, int]:
        """The highest ids ever given: ``seq``, ``delivery``, ``event``."""

    def revision(self) -> str:
        """Of the schema."""


class Loading(Protocol):
    """An empty store that is filled; nothing of it is there for an engine before `finish`."""

    kind: str
    files: bool
    """Whether large content goes into files."""

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        kinds: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        """A row whose key is there already is left out."""

    def settle(self, made_at: int, counters: Mapping[str, int], name: str) -> None:
        """Leave the store as an engine leaves it that was killed at ``made_at`` (microseconds):
        the next one that starts holds what was being sent, and no id is given twice."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """What is in it so far."""

    def finish(self) -> None:
        """Durable, and the engine's."""


class Changing(Protocol):
    """A connection beside those of the engines, for short changes.  The first statement begins a
    transaction; what is not committed when it is closed is undone."""

    def execute(self, text: str, values: Values = (), /) -> Cursor: ...
    def commit(self) -> None: ...
