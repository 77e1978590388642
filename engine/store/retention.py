"""Retention: delete finished messages, or only their content, a small batch at a time.

A batch is found by a reader and deleted in one short write transaction, so that acceptance goes on
in between.  Deleted content is overwritten in the database file (secure_delete); the file's free
pages are used again first, and given back to the disk a few with each batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from engine.contract import ChannelName
from engine.store.content import ContentFolder
from engine.store.database import Connection
from engine.store.ledger import Ledger
from engine.store.recovery import mark_highest
from engine.store.rows import micros
from engine.store.schema import BLOCK
from engine.store.statements import cuts
from engine.store.states import FINISHED

_WINDOW: Final = 20_000
"""Messages that one read looks at."""
_AGAIN_SECONDS: Final = 86_400.0

# "not in the finished" and not "in the unfinished": the rows are sought by id, and not through the
# partial index of the outbox.
_STATES: Final = ", ".join(f"'{state}'" for state in FINISHED)
_UNFINISHED_OF_MESSAGE: Final = (
    "EXISTS (SELECT 1 FROM delivery AS d WHERE d.id >= m.delivery"  # noqa: S608
    f" AND d.id < m.delivery + m.fanout AND d.state NOT IN ({_STATES}))"
)
_GOING: Final = "(SELECT seq FROM going)"
_DELIVERIES: Final = (
    "(SELECT d.id FROM message AS m JOIN delivery AS d ON d.id >= m.delivery"  # noqa: S608
    f" AND d.id < m.delivery + m.fanout WHERE m.seq IN {_GOING})"
)
_EVENTS: Final = (
    "(SELECT e.id FROM message AS m JOIN event AS e ON e.delivery >= m.delivery"  # noqa: S608
    f" AND e.delivery < m.delivery + m.fanout WHERE m.seq IN {_GOING})"
)


class Progress:
    """How far one kind of retention has come, so that it does not look at the same messages with
    every batch.  Now and then it begins again: what was unfinished then may be finished now."""

    def __init__(self) -> None:
        self.after = 0
        self._began = time.monotonic()

    def begin(self) -> None:
        if time.monotonic() - self._began > _AGAIN_SECONDS:
            self.after, self._began = 0, time.monotonic()


def finished(
    connection: Connection,
    older_than: datetime,
    channel: ChannelName | None,
    limit: int,
    progress: Progress,
) -> list[int]:
    """The oldest messages that may go (seqs)."""
    return _oldest(connection, "message AS m", older_than, channel, limit, progress)


def finished_content(
    connection: Connection,
    older_than: datetime,
    channel: ChannelName | None,
    limit: int,
    progress: Progress,
) -> list[int]:
    """The oldest messages whose content may go (seqs)."""
    source = "message AS m JOIN content AS c ON c.seq = m.seq"
    return _oldest(connection, source, older_than, channel, limit, progress)


def _oldest(
    connection: Connection,
    source: str,
    older_than: datetime,
    channel: ChannelName | None,
    limit: int,
    progress: Progress,
) -> list[int]:
    """Looks only where messages of that age can be, a window at a time: every read is short."""
    before = micros(older_than)
    newest = connection.execute(
        "SELECT max(block) FROM block_time WHERE first_at < ?", (before,)
    ).fetchone()[0]
    if newest is None:
        return []
    of_channel = "" if channel is None else " AND m.channel = :channel"
    text = (
        f"SELECT m.seq FROM {source} WHERE m.seq > :after AND m.seq <= :upto{of_channel}"  # noqa: S608
        f" AND m.received_at < :before AND NOT {_UNFINISHED_OF_MESSAGE}"
        " ORDER BY m.seq LIMIT :limit"
    )
    progress.begin()
    end = (newest + 1) * BLOCK
    found: list[int] = []
    while progress.after < end and len(found) < limit:
        # Ids may lie days apart: the next window begins where there is a message.
        first = connection.execute(
            "SELECT min(seq) FROM message WHERE seq > ?", (progress.after,)
        ).fetchone()[0]
        if first is None:
            break
        upto = min(first - 1 + _WINDOW, end)
        values = {
            "after": progress.after,
            "upto": upto,
            "channel": channel,
            "before": before,
            "limit": limit - len(found),
        }
        found += [row[0] for row in connection.execute(text, values)]
        if len(found) < limit and upto == end:
            break  # the newest block goes on filling: look at it again next time
        progress.after = found[-1] if len(found) >= limit else upto
    return found


def delete(ledger: Ledger, seqs: Sequence[int], content_only: bool) -> tuple[int, set[str]]:
    """How many messages, and the content files that may have lost their last reference.

    What became unfinished since the batch was found (a replay) stays.
    """
    connection = ledger.connection
    mark_highest(ledger)
    _note_going(connection, seqs)
    (count,) = connection.execute("SELECT count(*) FROM going").fetchone()
    files = _files(connection)
    connection.execute(f"DELETE FROM content WHERE seq IN {_GOING}")  # noqa: S608
    connection.execute(f"DELETE FROM exchange WHERE event IN {_EVENTS}")  # noqa: S608
    if not content_only:
        connection.execute(f"DELETE FROM event WHERE id IN {_EVENTS}")  # noqa: S608
        connection.execute(f"DELETE FROM delivery WHERE id IN {_DELIVERIES}")  # noqa: S608
        connection.execute(f"DELETE FROM message WHERE seq IN {_GOING}")  # noqa: S608
        _delete_keys(connection, seqs)
    return count, files


def _note_going(connection: Connection, seqs: Sequence[int]) -> None:
    """The batch as a table that the deletions share, in the writer's own temporary schema."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS going (seq BIGINT PRIMARY KEY)")
    connection.execute("DELETE FROM going")
    for start, size in cuts(len(seqs)):
        marks = ", ".join(["(?)"] * size)
        connection.execute(
            f"INSERT INTO going SELECT m.seq FROM message AS m WHERE m.seq IN (VALUES {marks})"  # noqa: S608
            f" AND NOT {_UNFINISHED_OF_MESSAGE}",
            seqs[start : start + size],
        )


def discard(connection: Connection, folder: ContentFolder, files: Iterable[str]) -> None:
    """Delete the content files that no row names any more."""
    for file in files:
        folder.discard(file, lambda name: is_referred(connection, name))


def discard_orphans(connection: Connection, folder: ContentFolder, shelf: int) -> None:
    """Delete what a crash left in one of the content folders."""
    discard(connection, folder, list(folder.orphans(shelf)))


def is_referred(connection: Connection, file: str) -> bool:
    """Whether any row names this content file."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM content WHERE file = :file)"
        " OR EXISTS (SELECT 1 FROM exchange WHERE sent_file = :file)"
        " OR EXISTS (SELECT 1 FROM exchange WHERE reply_file = :file)",
        {"file": file},
    ).fetchone()
    return bool(row[0])


def _files(connection: Connection) -> set[str]:
    rows = connection.execute(
        f"SELECT file FROM content WHERE seq IN {_GOING} AND file IS NOT NULL"  # noqa: S608
        f" UNION SELECT sent_file FROM exchange WHERE event IN {_EVENTS} AND sent_file IS NOT NULL"
        f" UNION SELECT reply_file FROM exchange WHERE event IN {_EVENTS}"
        " AND reply_file IS NOT NULL"
    ).fetchall()
    return {row[0] for row in rows}


def _delete_keys(connection: Connection, seqs: Sequence[int]) -> None:
    """Search keys are clustered by value: a block's keys are walked once for a batch, and a block
    without messages loses its time."""
    for block in sorted({seq // BLOCK for seq in seqs}):
        connection.execute(
            f"DELETE FROM message_key WHERE block = ? AND seq IN {_GOING}",  # noqa: S608
            (block,),
        )
        connection.execute(
            "DELETE FROM block_time WHERE block = ?"
            " AND (SELECT min(seq) FROM message WHERE seq >= ?) >= ?",
            (block, block * BLOCK, (block + 1) * BLOCK),
        )
