"""Move the contents of old, finished messages out of the store, into the archive of their day.

What goes is what retention would delete: what was received, sent and answered; the record of what
became of each message stays in the store.  A batch leaves the store only when it is in the archive
for good, and only as it was read: a message that somebody replays in between stays.  A kill at any
moment loses nothing, and the next run finds what is in the archive already and does not write it
again.

Files of large contents are not deleted here: the engine's retention does it, which knows whether
one is wanted again at this moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from engine.contract import UnknownMessage
from engine.store import retention
from engine.store.backup.day_file import DayFile, Entry, Part, day_of
from engine.store.backup.ends import Changing
from engine.store.content import ContentFolder
from engine.store.database import Connection
from engine.store.rows import moment, object_of, payload_of
from engine.store.statements import cuts

MOST_MESSAGES: Final = 400
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one batch, by what was received; a larger message is a batch of its own."""


@dataclass(frozen=True, slots=True)
class Old:
    """A message with its contents, as it was read."""

    seq: int
    entry: Entry
    parts: Sequence[Part]
    events: Sequence[int]
    received_at: datetime


@dataclass(slots=True)
class Moved:
    """How many messages came into the archive, and the contents of how many left the store."""

    archived: int = 0
    removed: int = 0


def move(
    reader: Connection,
    writer: Changing,
    content: ContentFolder,
    folder: Path,
    older_than: datetime,
    progress: Callable[[Moved], None] = lambda moved: None,
) -> Moved:
    """Move everything that is older.  The caller is the only one who writes to ``folder``.

    Raises BackupError, OSError; what a driver raises is passed on.
    """
    moved = Moved()
    looked = retention.Progress()
    days: dict[date, tuple[DayFile, dict[str, int]]] = {}
    while found := retention.finished_content(reader, older_than, None, MOST_MESSAGES, looked):
        for seqs in _batches(reader, found):
            by_day: dict[date, list[Old]] = defaultdict(list)
            for old in _read(reader, content, seqs):
                by_day[day_of(old.received_at)].append(old)
            for day, olds in by_day.items():
                if day not in days:
                    if len(days) > 3:
                        days.clear()  # messages come in their order: few days are in hand
                    file = DayFile(folder, day)
                    days[day] = (file, file.mend())
                file, known = days[day]
                new = [old for old in olds if known.get(old.entry.id) != old.entry.newest]
                if new:
                    file.append([(old.entry, old.parts) for old in new])
                    known.update((old.entry.id, old.entry.newest) for old in new)
                    moved.archived += len(new)
                moved.removed += _remove(writer, olds)
                progress(moved)
    return moved


def _batches(reader: Connection, seqs: Sequence[int]) -> Iterator[list[int]]:
    """Cut by the size of what is in them, so that memory is bounded."""
    marks = ", ".join("?" * len(seqs))
    rows = reader.execute(
        f"SELECT seq, size FROM message WHERE seq IN ({marks}) ORDER BY seq",  # noqa: S608
        tuple(seqs),
    ).fetchall()
    batch: list[int] = []
    weight = 0
    for seq, size in rows:
        if batch and weight + size > MOST_BYTES:
            yield batch
            batch, weight = [], 0
        batch.append(seq)
        weight += size
    if batch:
        yield batch


def _read(reader: Connection, content: ContentFolder, seqs: Sequence[int]) -> Iterator[Old]:
    marks = ", ".join("?" * len(seqs))
    rows = reader.execute(
        "SELECT m.seq, m.id, m.channel, m.type, m.control_id, m.state, m.received_at, m.peer,"  # noqa: S608
        " m.search_keys, m.delivery, m.fanout, c.body, c.file, c.content_type, c.charset"
        f" FROM message AS m JOIN content AS c ON c.seq = m.seq WHERE m.seq IN ({marks})"
        " ORDER BY m.seq",
        tuple(seqs),
    ).fetchall()
    for seq, *facts, search_keys, first, fanout, body, file, kind, charset in rows:
        message_id, channel, type_, control_id, state, received, peer = facts
        received_at = moment(received)
        payload = payload_of(_body(content, body, file), kind, charset)
        parts = (
            []
            if payload is None
            else [Part("content", 0, "", "", channel, state, received_at.isoformat(), payload)]
        )
        sent, events = _exchanged(reader, content, first, fanout)
        entry = Entry(
            message_id,
            channel,
            type_,
            control_id,
            received_at.isoformat(),
            state,
            peer,
            object_of(search_keys),
            _newest(reader, first, fanout),
        )
        yield Old(seq, entry, [*parts, *sent], events, received_at)


def _exchanged(
    reader: Connection, content: ContentFolder, first: int, fanout: int
) -> tuple[list[Part], list[int]]:
    if not fanout:
        return [], []
    rows = reader.execute(
        "SELECT e.id, d.id, d.route, d.target, d.channel, e.state, e.at,"
        " x.sent, x.sent_file, x.sent_type, x.sent_charset,"
        " x.reply, x.reply_file, x.reply_type, x.reply_charset"
        " FROM event AS e JOIN exchange AS x ON x.event = e.id"
        " JOIN delivery AS d ON d.id = e.delivery"
        " WHERE e.delivery >= ? AND e.delivery < ? ORDER BY e.id",
        (first, first + fanout),
    ).fetchall()
    parts: list[Part] = []
    for _, delivery, route, target, channel, state, at, *payloads in rows:
        for what, (body, file, kind, charset) in (("sent", payloads[:4]), ("reply", payloads[4:])):
            payload = payload_of(_body(content, body, file), kind, charset)
            if payload is not None:
                time = moment(at).isoformat()
                parts.append(Part(what, delivery, route, target, channel, state, time, payload))
    return parts, [row[0] for row in rows]


def _body(content: ContentFolder, body: bytes | None, file: str | None) -> bytes | None:
    if file is None:
        return body
    try:
        return content.read(file)
    except UnknownMessage:
        return None  # retention was here


def _newest(reader: Connection | Changing, first: int, fanout: int) -> int:
    """The newest event of the message's deliveries: it changes with every step of one."""
    row = reader.execute(
        "SELECT max(event) FROM delivery WHERE id >= ? AND id < ?", (first, first + fanout)
    ).fetchone()
    return int(row[0] or 0)


def _remove(writer: Changing, olds: Sequence[Old]) -> int:
    """In one transaction; leaves what has changed since it was read."""
    going: list[Old] = []
    for old in olds:
        row = writer.execute(
            "SELECT delivery, fanout FROM message WHERE seq = ?", (old.seq,)
        ).fetchone()
        if row is None:
            continue  # retention was here
        # Nobody else changes these deliveries before the commit.
        writer.execute(
            "UPDATE delivery SET owner = owner WHERE id >= ? AND id < ?", (row[0], row[0] + row[1])
        )
        if _newest(writer, *row) == old.entry.newest:
            going.append(old)
    _delete(writer, "content", "seq", [old.seq for old in going])
    _delete(writer, "exchange", "event", [event for old in going for event in old.events])
    writer.commit()
    return len(going)


def _delete(writer: Changing, table: str, key: str, numbers: Sequence[int]) -> None:
    for start, size in cuts(len(numbers)):
        marks = ", ".join("?" * size)
        writer.execute(
            f"DELETE FROM {table} WHERE {key} IN ({marks})",  # noqa: S608
            tuple(numbers[start : start + size]),
        )
