"""Which tables a backup has, and in which form.

What can be made again from the rest is left out: search keys and the times of their blocks come
from the messages.  Large content is in the rows, whatever the store keeps it in, so that a backup
of one database can be put into another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import LargeBinary, Table, Text

from engine.store import schema


@dataclass(frozen=True, slots=True)
class Copied:
    """One table.  ``files``: the columns that name a content file, with the column of the body."""

    table: Table
    key: str
    files: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return str(self.table.name)

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns as the database has them."""
        return tuple(str(column.name) for column in self.table.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns as the backup has them."""
        names = {name for name, _ in self.files}
        return tuple(name for name in self.stored if name not in names)


TABLES: Final = (
    Copied(schema.message, "seq"),
    Copied(schema.content, "seq", (("file", "body"),)),
    Copied(schema.delivery, "id"),
    Copied(schema.event, "id"),
    Copied(schema.exchange, "event", (("sent_file", "sent"), ("reply_file", "reply"))),
    Copied(schema.dedup, "digest"),
)
NUMBERED: Final = tuple(one for one in TABLES if one.key != "digest")
"""Those whose ids are in the backup as ranges."""


def binary_of(one: Copied, columns: Sequence[str]) -> tuple[int, ...]:
    """The places of the binary columns among ``columns``."""
    return tuple(
        place
        for place, name in enumerate(columns)
        if isinstance(one.table.columns[name].type, LargeBinary)
    )


def kinds_of(one: Copied, columns: Sequence[str]) -> tuple[str, ...]:
    """``int``, ``text`` or ``bytes`` for each of ``columns``."""
    types = [one.table.columns[name].type for name in columns]
    return tuple(
        "bytes" if isinstance(kind, LargeBinary) else "text" if isinstance(kind, Text) else "int"
        for kind in types
    )
