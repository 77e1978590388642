"""Search over messages, newest first.

Never scans the history for a key: a patient, visit, order or control id costs one seek for each
block of messages, and blocks outside of the asked time are left out.  Blocking functions of a
reader's connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, exists, select

from engine.contract import (
    ChannelName,
    DeliveryId,
    DeliverySummary,
    MessageId,
    MessageSummary,
    Query,
    State,
)
from engine.store import schema
from engine.store.database import Connection
from engine.store.rows import CONTROL_ID, error_of, key_text, micros, moment, object_of
from engine.store.schema import BLOCK
from engine.store.statements import Read, cuts
from engine.store.states import MESSAGE_STATES, NOT_ROUTED, TROUBLED, UNFINISHED

_MOST: Final = 1000
"""Messages of one answer at most; the cursor goes on from there."""
_DELIVERIES: Final = 1024
"""Deliveries that one statement looks up."""
_FIRST_WINDOW, _WIDEST_WINDOW = 2, 256
"""Blocks that one statement looks into: few at first, since most answers are among the newest."""

_message, _delivery, _key = schema.message.c, schema.delivery.c, schema.message_key.c

Span = tuple[int, int]
"""First and last seq, both included."""


def search(connection: Connection, query: Query) -> list[MessageSummary]:
    limit = max(0, min(query.limit, _MOST))
    found: list[int] = []
    if limit:
        for span in _spans(connection, query):
            found += _seqs(connection, query, span, limit - len(found))
            if len(found) >= limit:
                break
    return _summaries(connection, found)


def _spans(connection: Connection, query: Query) -> Iterator[Span]:
    """Runs of blocks that may hold messages of the asked time, newest first."""
    if query.message_id is not None:
        seq = _seq_of(connection, query.message_id)
        if seq is not None:
            yield seq, seq
        return
    newest = connection.execute("SELECT max(seq) FROM message").fetchone()[0]
    if newest is None:
        return
    highest = int(newest)
    if query.before is not None:
        row = connection.execute(
            "SELECT seq FROM message WHERE id < ? ORDER BY id DESC LIMIT 1"
            if _seq_of(connection, query.before) is None
            else "SELECT seq - 1 FROM message WHERE id = ?",
            (query.before,),
        ).fetchone()
        if row is None:
            return
        highest = int(row[0])
    since = -(2**62) if query.since is None else micros(query.since)
    until = 2**62 if query.until is None else micros(query.until)
    blocks = connection.execute(
        "SELECT block FROM block_time WHERE block <= ? AND first_at < ? AND last_at >= ?"
        " ORDER BY block DESC",
        (highest // BLOCK, until, since),
    ).fetchall()
    start = 0
    for index in range(1, len(blocks) + 1):
        if index == len(blocks) or blocks[index][0] != blocks[index - 1][0] - 1:
            last, first = blocks[start][0], blocks[index - 1][0]
            yield first * BLOCK, min(highest, (last + 1) * BLOCK - 1)
            start = index


def _seq_of(connection: Connection, message_id: MessageId) -> int | None:
    row = connection.execute("SELECT seq FROM message WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else int(row[0])


def _seqs(connection: Connection, query: Query, span: Span, limit: int) -> list[int]:
    keys = [(kind, key_text(value)) for kind, value in query.keys.items()]
    if query.control_id is not None:
        keys.append((CONTROL_ID, key_text(query.control_id)))
    if not keys:
        return _merged(connection, _selects(query, span, ()), limit)
    found: list[int] = []
    last, first = span[1] // BLOCK, span[0] // BLOCK
    width = _FIRST_WINDOW
    while last >= first and len(found) < limit:
        window = range(max(first, last - width + 1), last + 1)
        part = (max(span[0], window.start * BLOCK), min(span[1], window.stop * BLOCK - 1))
        selects = [_keyed(part, keys, window, one) for one in _selects(query, part, keys)]
        found += _merged(connection, selects, limit - len(found))
        last = window.start - 1
        width = min(width * 2, _WIDEST_WINDOW)
    return found


def _merged(connection: Connection, selects: Sequence[Select[Any]], limit: int) -> list[int]:
    found: set[int] = set()
    for one in selects:
        found.update(row[0] for row in Read(one.limit(limit))(connection))
    return sorted(found, reverse=True)[:limit]


def _selects(query: Query, span: Span, keys: Sequence[Any]) -> list[Select[Any]]:
    """Every way in which a message may match; each gives seqs, newest first."""
    of_message = []
    if query.type is not None:
        of_message.append(_compared(_message.type, keys) == query.type)
    if query.since is not None:
        of_message.append(_message.received_at >= micros(query.since))
    if query.until is not None:
        of_message.append(_message.received_at < micros(query.until))
    state = query.state
    if state in MESSAGE_STATES:
        of_message.append(_message.state == state.value)
        if state in NOT_ROUTED:
            of_message.append(schema.state_in(*NOT_ROUTED, table="message"))
    by_delivery = state is not None and state not in MESSAGE_STATES
    ways = []
    inbound = [*of_message]
    if query.channel is not None:
        inbound.append(_compared(_message.channel, keys) == query.channel)
    troubled = by_delivery and state is not State.SENT and query.channel is None and not keys
    if not troubled:
        if by_delivery:
            inbound.append(_has_delivery(state))
        ways.append(
            select(_message.seq)
            .where(_message.seq.between(*span), *inbound)
            .order_by(_message.seq.desc())
        )
    if query.channel is not None or troubled:
        ways.append(_through_deliveries(query, span, of_message))
    return ways


def _compared(column: Any, keys: Sequence[Any]) -> Any:
    """Where keys are given they are sought, and this is only compared: an index of it, which a
    planner may like better, would be walked through the whole history."""
    return column.concat("") if keys else column


def _has_delivery(state: State | None) -> Any:
    return exists().where(
        _delivery.id >= _message.delivery,
        _delivery.id < _message.delivery + _message.fanout,
        _delivery.state == state,
    )


def _through_deliveries(query: Query, span: Span, of_message: Sequence[Any]) -> Select[Any]:
    """By outbound channel, or by a state that few deliveries are in."""
    conditions = [_delivery.message.between(*span), *of_message]
    state = query.state
    if query.channel is not None:
        conditions.append(_delivery.channel == query.channel)
    if state is not None and state not in MESSAGE_STATES:
        conditions.append(_delivery.state == state.value)
        if state in TROUBLED:
            conditions.append(schema.state_in(*TROUBLED, table="delivery"))
        elif state in UNFINISHED:
            conditions.append(schema.state_in(*UNFINISHED, table="delivery"))
    return (
        select(_delivery.message)
        .join_from(schema.delivery, schema.message, _message.seq == _delivery.message)
        .where(*conditions)
        .order_by(_delivery.message.desc())
        .distinct()
    )


def _keyed(
    span: Span, keys: Sequence[tuple[str, str]], window: range, one: Select[Any]
) -> Select[Any]:
    """``one``, only where all keys match: a seek in each block of the window."""
    for kind, value in keys:
        matching = select(_key.seq).where(
            _key.block.in_(window),
            _key.kind == kind,
            _key.value == value,
            _key.seq.between(*span),
        )
        one = one.where(_message.seq.in_(matching))
    return one


def _summaries(connection: Connection, seqs: Sequence[int]) -> list[MessageSummary]:
    if not seqs:
        return []
    rows = Read(
        select(
            _message.seq,
            _message.id,
            _message.channel,
            _message.type,
            _message.control_id,
            _message.state,
            _message.received_at,
            _message.size,
            _message.search_keys,
            _message.delivery,
            _message.fanout,
        )
        .where(_message.seq.in_(seqs))
        .order_by(_message.seq.desc())
    )(connection)
    # By their numbers, and not by a join of ranges: a planner may scan everything for that.
    numbers = [number for row in rows for number in range(row[9], row[9] + row[10])]
    received_at = {row[0]: row[6] for row in rows}
    deliveries: dict[int, list[DeliverySummary]] = {seq: [] for seq in received_at}
    for start, size in cuts(len(numbers), largest=_DELIVERIES):
        for seq, summary in _of_deliveries(connection, numbers[start : start + size], received_at):
            deliveries[seq].append(summary)
    return [_summary(row, tuple(deliveries[row[0]])) for row in rows]


def _of_deliveries(
    connection: Connection, numbers: Sequence[int], received_at: Mapping[int, int]
) -> Iterator[tuple[int, DeliverySummary]]:
    rows = Read(
        select(
            _delivery.message,
            _delivery.id,
            _delivery.route,
            _delivery.target,
            _delivery.channel,
            _delivery.state,
            _delivery.attempt,
            schema.event.c.error,
            schema.event.c.at,
        )
        .outerjoin_from(schema.delivery, schema.event, schema.event.c.id == _delivery.event)
        .where(_delivery.id.in_(numbers))
        .order_by(_delivery.id)
    )(connection)
    for seq, number, route, target, channel, state, attempt, error, at in rows:
        yield (
            seq,
            DeliverySummary(
                DeliveryId(number),
                route,
                target,
                ChannelName(channel),
                State(state),
                attempt,
                error_of(error),
                moment(received_at[seq] if at is None else at),
            ),
        )


def _summary(row: Sequence[Any], deliveries: tuple[DeliverySummary, ...]) -> MessageSummary:
    _, message_id, channel, message_type, control_id, state, received_at, size, keys = row[:9]
    return MessageSummary(
        MessageId(message_id),
        ChannelName(channel),
        message_type,
        control_id,
        State(state),
        moment(received_at),
        size,
        deliveries,
        object_of(keys),
    )
