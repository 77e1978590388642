"""Runs of the engine, and what is put right after one that did not end cleanly.

Functions of the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.contract import ChannelName, DeliveryId, Event, MessageId, State
from engine.store import failures
from engine.store.ledger import Ledger, event_row
from engine.store.rows import micros
from engine.store.statements import INSERT_EVENTS, Change
from engine.store.states import UNFINISHED

_STEP: Final = 5000
"""Deliveries that one transaction changes."""

_UNFINISHED: Final = "state IN ({})".format(", ".join(f"'{state}'" for state in UNFINISHED))
_BECOME_UNCERTAIN: Final = Change(
    ("state", "attempt", "begun", "possible_duplicate", "event"), (State.QUEUED,)
)


def start_run(ledger: Ledger) -> bool:
    """Whether the run before this one stopped cleanly (also when there was none)."""
    last = ledger.connection.execute(
        "SELECT id, stopped_at FROM run ORDER BY id DESC LIMIT 1"
    ).fetchone()
    ledger.connection.execute(
        "INSERT INTO run (id, started_at, last_seq, last_delivery, last_event)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            1 if last is None else last[0] + 1,
            micros(ledger.now()),
            ledger.seq,
            ledger.delivery,
            ledger.event,
        ),
    )
    return last is None or last[1] is not None


def mark_highest(ledger: Ledger) -> None:
    """Before ids may vanish with purged rows: they are never given again."""
    if ledger.node:
        return  # the database counts
    ledger.connection.execute(
        "UPDATE run SET last_seq = ?, last_delivery = ?, last_event = ?"
        " WHERE id = (SELECT max(id) FROM run)",
        (ledger.seq, ledger.delivery, ledger.event),
    )


def stop_run(ledger: Ledger) -> None:
    mark_highest(ledger)
    ledger.connection.execute(
        "UPDATE run SET stopped_at = ? WHERE id = (SELECT max(id) FROM run)",
        (micros(ledger.now()),),
    )


def hold_begun(ledger: Ledger, owners: Sequence[int] = (0,)) -> int:
    """Sends of these nodes that were under way become UNCERTAIN; returns how many.  They
    are as many as workers were sending, not as many as wait."""
    marks = ", ".join("?" * len(owners))
    rows = ledger.connection.execute(
        f"SELECT d.id, m.id, d.begun FROM delivery AS d JOIN message AS m ON m.seq = d.message"  # noqa: S608
        f" WHERE d.owner IN ({marks}) AND d.{_UNFINISHED} AND d.begun > 0 ORDER BY d.id",
        tuple(owners),
    ).fetchall()
    now = ledger.now()
    ledger.reserve(events=len(rows))
    changes, events = [], []
    for number, message_id, attempt in rows:
        ledger.event += 1
        changes.append((number, State.UNCERTAIN.value, attempt, 0, 1, ledger.event))
        events.append(
            event_row(
                ledger.event,
                Event(
                    DeliveryId(number),
                    MessageId(message_id),
                    State.UNCERTAIN,
                    now,
                    attempt=attempt,
                    possible_duplicate=True,
                    error=failures.crashed(),
                ),
            )
        )
    _BECOME_UNCERTAIN.execute(ledger.connection, changes)
    INSERT_EVENTS.execute(ledger.connection, events)
    return len(rows)


def flag_unfinished(ledger: Ledger, after: int) -> tuple[int, int]:
    """One step of flagging ``possible_duplicate``: how many, and the highest id looked at (0: no
    more).  Deliveries that no attempt was made for cannot be told from others: all are flagged."""
    rows = ledger.connection.execute(
        f"SELECT count(*), max(id) FROM (SELECT id FROM delivery WHERE {_UNFINISHED}"  # noqa: S608
        " AND id > ? ORDER BY id LIMIT ?) AS step",
        (after, _STEP),
    ).fetchone()
    if not rows[0]:
        return 0, 0
    changed = ledger.connection.execute(
        f"UPDATE delivery SET possible_duplicate = 1 WHERE {_UNFINISHED}"  # noqa: S608
        " AND id > ? AND id <= ? AND possible_duplicate = 0",
        (after, rows[1]),
    )
    return changed.rowcount, rows[1]


def take_over(ledger: Ledger, owners: Sequence[int], *, flag: bool) -> int:
    """One step of taking what these nodes had in hand; 0 when there is no more."""
    return ledger.connection.take_over(owners, ledger.node, flag=flag, limit=_STEP)


def relane(ledger: Ledger, channel: ChannelName, lanes: int) -> int:
    """One step; 0 when every lane is right."""
    changed = ledger.connection.execute(
        "UPDATE delivery SET lane = key_hash % ? WHERE id IN ("  # noqa: S608
        f"SELECT id FROM delivery WHERE channel = ? AND {_UNFINISHED}"
        " AND lane <> key_hash % ? LIMIT ?)",
        (lanes, channel, lanes, _STEP),
    )
    return changed.rowcount
