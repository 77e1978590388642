"""Stored messages with what was sent for them, read while the engine runs or not.

Nothing is written: the database is opened read-only, and each page is one short read, so that the
engine's writer is never held up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from engine.contract import ErrorInfo, Message, MessageId, Payload, State, UnknownMessage
from engine.store import failures, reading, sqlite
from engine.store.content import ContentFolder
from engine.store.database import Connection
from engine.store.rows import error_of, micros

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Archived:
    """One delivery.  ``sent`` is None when nothing was sent yet, or it is not kept any more."""

    route: str
    target: str
    channel: str
    state: State
    sent: Payload | None = field(repr=False)
    error: ErrorInfo | None


def archived(
    data: Path, since: datetime, limit: int
) -> Iterator[tuple[Message, tuple[Archived, ...]]]:
    """The messages since then whose content is kept, oldest first, with their deliveries.

    ``data`` is the engine's data folder.  Raises StoreUnavailable.
    """
    database, folder = data / "carebus.db", ContentFolder(data / "content")
    if not database.is_file():
        raise failures.unavailable("STORE-IO", "there is no carebus.db in the data folder")
    try:
        connection = sqlite.connect_reader(database)
        try:
            yield from _pages(connection, folder, micros(since), limit)
        finally:
            connection.close()
    except sqlite.Error as error:
        raise sqlite.translate(error) from None


def _pages(
    connection: Connection, folder: ContentFolder, since: int, limit: int
) -> Iterator[tuple[Message, tuple[Archived, ...]]]:
    after = 0
    while limit > 0:
        rows = connection.execute(
            "SELECT seq, id, delivery, fanout FROM message"
            " WHERE seq > ? AND received_at >= ? ORDER BY seq LIMIT ?",
            (after, since, min(limit, _PAGE)),
        ).fetchall()
        for _, id, first, fanout in rows:
            try:
                message = reading.load(connection, folder, MessageId(id))
                yield message, _deliveries(connection, folder, first, fanout)
            except UnknownMessage:
                continue  # retention was here
        if not rows:
            return
        after = rows[-1][0]
        limit -= len(rows)


def _deliveries(
    connection: Connection, folder: ContentFolder, first: int, fanout: int
) -> tuple[Archived, ...]:
    rows = connection.execute(
        "SELECT id, route, target, channel, state FROM delivery WHERE id >= ? AND id < ?"
        " ORDER BY id",
        (first, first + fanout),
    ).fetchall()
    found: list[Archived] = []
    for number, route, target, channel, state in rows:
        events = connection.execute(
            "SELECT id, error FROM event WHERE delivery = ? ORDER BY id DESC", (number,)
        ).fetchall()
        sent = None
        for event, _ in events:
            sent, _reply = reading.exchanged(connection, folder, event)
            if sent is not None:
                break
        error = error_of(events[0][1]) if events else None
        found.append(Archived(route, target, channel, State(state), sent, error))
    return tuple(found)
