"""What is read by id: a message with its content, its history, the outbox.

Blocking functions of a reader's connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from engine.contract import (
    Backlog,
    ChannelName,
    DeliveryId,
    Message,
    MessageId,
    OutboxEntry,
    Payload,
    State,
    StoredEvent,
    Waiting,
)
from engine.store import failures, schema
from engine.store.content import ContentFolder
from engine.store.database import Connection
from engine.store.rows import error_of, moment, object_of, outbox_entry, payload_of
from engine.store.statements import Read
from engine.store.states import TROUBLED, UNFINISHED

_delivery, _message, _event = schema.delivery.c, schema.message.c, schema.event.c

OUTBOX_COLUMNS: Final = (
    _delivery.id,
    _message.id,
    _delivery.route,
    _delivery.target,
    _delivery.channel,
    _delivery.lane,
    _delivery.state,
    _delivery.attempt,
    _delivery.next_at,
    _delivery.possible_duplicate,
    _delivery.begun,
    _delivery.key_hash,
)
_ENTRIES: Final = select(*OUTBOX_COLUMNS).join_from(
    schema.delivery, schema.message, _message.seq == _delivery.message
)
_OF_LANE: Final = (
    _ENTRIES.where(
        _delivery.channel == bindparam("channel"),
        _delivery.lane == bindparam("lane"),
        _delivery.id > bindparam("after"),
        schema.state_in(*UNFINISHED, table="delivery"),
    )
    .order_by(_delivery.id)
    .limit(bindparam("limit"))
)
_OUTBOX: Final = Read(_OF_LANE)
_OUTBOX_OF: Final = Read(_OF_LANE.where(_delivery.owner == bindparam("owner")))
_ENTRY: Final = Read(_ENTRIES.where(_delivery.id == bindparam("number")))
_EVENTS: Final = Read(
    select(schema.event)
    .where(
        _event.delivery >= bindparam("first"),
        _event.delivery < bindparam("end"),
    )
    .order_by(_event.id)
)
_BACKLOGS: Final = tuple(
    Read(
        select(_delivery.channel, _delivery.state, func.count(), func.min(_delivery.id))
        .where(schema.state_in(*states, table="delivery"))
        .group_by(_delivery.channel, _delivery.state)
    )
    for states in (UNFINISHED, TROUBLED)
)
_WAITING: Final = Read(
    select(_message.channel, _delivery.route, _delivery.target, _delivery.channel, func.count())
    .join_from(schema.delivery, schema.message, _message.seq == _delivery.message)
    .where(schema.state_in(*UNFINISHED, table="delivery"))
    .group_by(_message.channel, _delivery.route, _delivery.target, _delivery.channel)
)


def outbox(
    connection: Connection,
    channel: ChannelName,
    lane: int,
    after: int,
    limit: int,
    owner: int | None = None,
) -> list[OutboxEntry]:
    """``owner``: only what this node has in hand."""
    values = {"channel": channel, "lane": lane, "after": after, "limit": limit}
    if owner is None:
        rows = _OUTBOX(connection, **values)
    else:
        rows = _OUTBOX_OF(connection, owner=owner, **values)
    return [outbox_entry(row) for row in rows]


def entry(connection: Connection, number: DeliveryId) -> OutboxEntry | None:
    """The delivery in any state; None when there is no such delivery."""
    rows = _ENTRY(connection, number=number)
    return outbox_entry(rows[0]) if rows else None


def unfinished(connection: Connection, number: DeliveryId) -> OutboxEntry | None:
    found = entry(connection, number)
    return found if found is not None and found.state in UNFINISHED else None


def load(connection: Connection, folder: ContentFolder, message_id: MessageId) -> Message:
    row = connection.execute(
        "SELECT m.channel, m.received_at, m.attributes, m.parents, c.body, c.file,"
        " c.content_type, c.charset, c.seq"
        " FROM message AS m LEFT JOIN content AS c ON c.seq = m.seq WHERE m.id = ?",
        (message_id,),
    ).fetchone()
    if row is None:
        raise failures.unknown("message")
    channel, received_at, attributes, parents, body, file, content_type, charset, kept = row
    if kept is None:
        raise failures.purged()
    return Message(
        message_id,
        ChannelName(channel),
        Payload(body if file is None else folder.read(file), content_type, charset),
        moment(received_at),
        object_of(attributes),
        tuple(MessageId(parent) for parent in parents.split()) if parents else (),
    )


def history(
    connection: Connection, folder: ContentFolder, message_id: MessageId, content: bool
) -> list[StoredEvent]:
    row = connection.execute(
        "SELECT state, received_at, error, config_version, delivery, fanout"
        " FROM message WHERE id = ?",
        (message_id,),
    ).fetchone()
    if row is None:
        raise failures.unknown("message")
    state, received_at, error, version, first, fanout = row
    events = [
        StoredEvent(
            delivery=None,
            state=State(state),
            at=moment(received_at),
            attempt=0,
            possible_duplicate=False,
            error=error_of(error),
            actor="engine",
            remote_id=None,
            mapping_version="",
            route_version=version,
        )
    ]
    if not fanout:
        return events
    rows = _EVENTS(connection, first=first, end=first + fanout)
    for row in rows:
        sent, reply = exchanged(connection, folder, row[0]) if content else (None, None)
        events.append(_stored_event(row, sent, reply))
    return events


def backlog(connection: Connection) -> list[Backlog]:
    """Unfinished deliveries, and the dead ones; each kind is counted in an index of its own."""
    unfinished_rows, troubled_rows = (read(connection) for read in _BACKLOGS)
    dead = [row for row in troubled_rows if row[1] == State.DEAD]
    return [
        Backlog(ChannelName(channel), State(state), count, _accepted_at(connection, oldest))
        for channel, state, count, oldest in [*unfinished_rows, *dead]
    ]


def waiting(connection: Connection) -> list[Waiting]:
    """Costs as much as there are unfinished deliveries, whatever the history."""
    return [
        Waiting(ChannelName(source), route, target, ChannelName(channel), count)
        for source, route, target, channel, count in _WAITING(connection)
    ]


def sources(connection: Connection) -> list[ChannelName]:
    """From one channel to the next in the index, over all of its messages at once."""
    rows = connection.execute(
        "WITH RECURSIVE known (channel) AS (SELECT min(channel) FROM message UNION ALL"
        " SELECT (SELECT min(channel) FROM message WHERE message.channel > known.channel)"
        " FROM known WHERE channel IS NOT NULL)"
        " SELECT channel FROM known WHERE channel IS NOT NULL"
    )
    return [ChannelName(row[0]) for row in rows]


def _accepted_at(connection: Connection, delivery: int) -> datetime | None:
    row = connection.execute(
        "SELECT m.received_at FROM delivery AS d JOIN message AS m ON m.seq = d.message"
        " WHERE d.id = ?",
        (delivery,),
    ).fetchone()
    return None if row is None else moment(row[0])


def _stored_event(row: Sequence[Any], sent: Payload | None, reply: Payload | None) -> StoredEvent:
    _, number, state, at, attempt, duplicate, error, actor, remote_id, mapping, route = row
    return StoredEvent(
        delivery=DeliveryId(number),
        state=State(state),
        at=moment(at),
        attempt=attempt,
        possible_duplicate=bool(duplicate),
        error=error_of(error),
        actor=actor,
        remote_id=remote_id,
        mapping_version=mapping,
        route_version=route,
        sent=sent,
        reply=reply,
    )


def exchanged(
    connection: Connection, folder: ContentFolder, event: int
) -> tuple[Payload | None, Payload | None]:
    """What was sent and what came back in one event."""
    row = connection.execute(
        "SELECT sent, sent_file, sent_type, sent_charset, reply, reply_file, reply_type,"
        " reply_charset FROM exchange WHERE event = ?",
        (event,),
    ).fetchone()
    if row is None:
        return None, None
    bodies = [row[0] if row[1] is None else folder.read(row[1])]
    bodies.append(row[4] if row[5] is None else folder.read(row[5]))
    return payload_of(bodies[0], row[2], row[3]), payload_of(bodies[1], row[6], row[7])
