"""One batch of requests becomes rows, inside the writer's open transaction.

Belongs to the writer thread.  Ids are given here, so nothing is read back; a batch that is rolled
back leaves gaps, never an id used twice.  Requests take effect in the order in which
they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from engine.contract import (
    DeliveryId,
    Event,
    MessageId,
    NewDelivery,
    NewMessage,
    State,
    Stored,
    StoreError,
)
from engine.store import failures, statements
from engine.store.database import Connection, Row
from engine.store.requests import (
    Accepting,
    Beginning,
    Job,
    Recording,
    RecordingAll,
    Request,
    events_of,
)
from engine.store.rows import (
    CONTROL_ID,
    dedup_digest,
    duration,
    error_text,
    key_text,
    micros,
    object_text,
    storable,
)
from engine.store.schema import BLOCK
from engine.store.states import ENGINE_STEPS, sources

_MINUTE: Final = 60_000_000

_MOVE: Final = {
    state: statements.Change(
        ("state", "attempt", "next_at", "begun", "possible_duplicate", "event"),
        sources(ENGINE_STEPS, state),
    )
    for state in (State.QUEUED, State.RETRYING, State.UNCERTAIN, State.SENT, State.DEAD)
}
_NOTE: Final = statements.Change(("possible_duplicate", "event"), (State.CANCELLED,))
"""Cancelled while another process was sending, and nobody knows how that ended: it stays
cancelled, and its history says that the peer may have it."""
_BEGIN: Final = statements.Change(("begun", "owner"), (State.QUEUED,))


class Ledger:
    """``connection`` is in a transaction whenever ``write`` is called."""

    def __init__(self, connection: Connection, now: Callable[[], datetime] | None = None) -> None:
        self.connection = connection
        self.now = now or (lambda: datetime.now(UTC))
        self.node = 0
        """Whose the deliveries are that come into being; 0 where there is only one engine."""
        self.seq = 0
        self.delivery = 0
        self.event = 0
        self._blocks: dict[int, tuple[int, int]] = {}
        self._remembered = 0  # dedup rows since the last sweep
        self._events_ahead = 0  # reserved together with the ids of messages, and not given yet

    def load(self) -> None:
        """Read the highest ids ever given."""
        run = self.connection.execute(
            "SELECT last_seq, last_delivery, last_event FROM run ORDER BY id DESC LIMIT 1"
        ).fetchone() or (0, 0, 0)
        highest = [
            self.connection.execute(f"SELECT max({column}) FROM {table}").fetchone()[0] or 0  # noqa: S608
            for table, column in (("message", "seq"), ("delivery", "id"), ("event", "id"))
        ]
        self.seq, self.delivery, self.event = map(max, run, highest)

    def reserve(self, seqs: int = 0, deliveries: int = 0, events: int = 0) -> None:
        """Before at most as many ids are given: where several engines write, they are asked for."""
        last = self.connection.reserve(seqs, deliveries, events)
        if last is not None:
            self.seq = last[0] if seqs else self.seq
            self.delivery = last[1] if deliveries else self.delivery
            self.event = last[2] if events else self.event

    def tell(self, channel: str, delivery: int = 0) -> None:
        """With the commit, the other engines hear that somebody decided about this."""
        self.connection.tell(f"{self.node} {delivery} {channel}")

    def forget(self) -> None:
        """After a rollback: what was only believed to be written is not known any more."""
        self._blocks.clear()
        self._events_ahead = 0

    def write(self, requests: Sequence[Request]) -> None:
        """Fills each request's result or failure; raises only what fails the whole batch."""
        accepting = [request for request in requests if isinstance(request, Accepting)]
        self._events_ahead = 0
        if accepting:
            self._accept(accepting, events_of(requests))
        if len(accepting) == len(requests):
            return
        moving: dict[int, Recording] = {}
        beginning: dict[int, Beginning] = {}
        for request in requests:
            if isinstance(request, Recording | RecordingAll):
                parts = request.parts if isinstance(request, RecordingAll) else (request,)
                for part in parts:
                    if part.event.delivery in moving:
                        self._flush(beginning, moving)
                    moving[part.event.delivery] = part
            elif isinstance(request, Beginning):
                if request.delivery in moving or request.delivery in beginning:
                    self._flush(beginning, moving)
                beginning[request.delivery] = request
            elif isinstance(request, Job):
                self._flush(beginning, moving)
                try:
                    request.result = request.work(self)
                except StoreError as error:
                    request.failure = error
        self._flush(beginning, moving)

    # --- acceptance -------------------------------------------------------------------------

    def _accept(self, requests: Sequence[Accepting], events: int) -> None:
        """``events``: how many the rest of the batch needs, so that ids are asked for once."""
        known = self._known_copies(requests)
        messages: list[Row] = []
        contents: list[Row] = []
        deliveries: list[Row] = []
        keys: list[Row] = []
        remembered: dict[bytes, Row] = {}
        bounds: dict[int, tuple[int, int]] = {}
        given = sum(len(request.new.deliveries) for request in requests)
        self.reserve(len(requests), given, events)
        self._events_ahead = events
        seq, number = self.seq, self.delivery
        for request in requests:
            new = request.new
            message = new.message
            received_at = micros(message.received_at)
            if new.dedup_key is not None:
                row = _dedup_row(new, new.dedup_key)
                digest = row[0]
                window = duration(new.dedup_within) if new.dedup_within is not None else 0
                copy = known.get(digest)
                if copy is not None and (not window or received_at - copy[1] < window):
                    request.result = Stored(MessageId(copy[0]), duplicate=True)
                    continue
                known[digest] = (message.id, received_at)
                remembered[digest] = row
            seq += 1
            first = number + 1
            for target in new.deliveries:
                number += 1
                deliveries.append(delivery_row(number, seq, target, self.node))
            request.result = Stored(message.id, tuple(map(DeliveryId, range(first, number + 1))))
            messages.append(_message_row(seq, new, received_at, first))
            payload = message.payload
            contents.append(
                (
                    seq,
                    payload.body if request.file is None else None,
                    request.file,
                    payload.content_type,
                    payload.charset,
                )
            )
            block = seq // BLOCK
            if new.control_id:
                keys.append((block, CONTROL_ID, key_text(new.control_id), seq))
            for kind, value in new.keys.items():
                if value:
                    keys.append((block, kind, key_text(value), seq))
            low, high = bounds.get(block, (received_at, received_at))
            bounds[block] = (min(low, received_at), max(high, received_at))
        self.seq, self.delivery = seq, number
        connection = self.connection
        statements.INSERT_MESSAGES.execute(connection, messages)
        statements.INSERT_CONTENTS.execute(connection, contents)
        statements.INSERT_DELIVERIES.execute(connection, deliveries)
        statements.INSERT_KEYS.execute(connection, keys)
        self._widen(bounds)
        if remembered:
            statements.REMEMBER_KEYS.execute(connection, list(remembered.values()))
            self._sweep_keys(len(remembered))

    def _known_copies(self, requests: Iterable[Accepting]) -> dict[bytes, tuple[str, int]]:
        first: dict[bytes, Row] = {}
        for request in requests:
            if request.new.dedup_key is not None:
                row = _dedup_row(request.new, request.new.dedup_key)
                first.setdefault(row[0], row)
        # In one order everywhere, so that two engines never wait for each other.
        return dict(self.connection.claim_keys(sorted(first.values()))) if first else {}

    def _sweep_keys(self, added: int) -> None:
        """Delete twice as many expired keys as were added, so that the table stays the window."""
        self._remembered += added
        if self._remembered < 256:
            return
        self.connection.execute(
            "DELETE FROM dedup WHERE digest IN"
            " (SELECT digest FROM dedup WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
            (micros(self.now()), 2 * self._remembered),
        )
        self._remembered = 0

    def _widen(self, bounds: dict[int, tuple[int, int]]) -> None:
        """Whole minutes, so that the row changes once a minute and not with every commit."""
        rows: list[Row] = []
        for block, (low, high) in bounds.items():
            known = self._blocks.get(block)
            if known is None or low < known[0] or high >= known[1]:
                low, high = low // _MINUTE * _MINUTE, (high // _MINUTE + 1) * _MINUTE
                if known is not None:
                    low, high = min(low, known[0]), max(high, known[1])
                rows.append((block, low, high))
                self._blocks[block] = (low, high)
        if rows:
            statements.WIDEN_BLOCKS.execute(self.connection, rows)
            if len(self._blocks) > 16:
                self._blocks = {row[0]: (row[1], row[2]) for row in rows}

    # --- steps ------------------------------------------------------------------------------

    def _flush(self, beginning: dict[int, Beginning], moving: dict[int, Recording]) -> None:
        if beginning:
            self._begin(beginning)
            beginning.clear()
        if moving:
            self._record(list(moving.values()))
            moving.clear()

    def _begin(self, beginning: dict[int, Beginning]) -> None:
        rows = [(one.delivery, one.attempt, self.node) for one in beginning.values()]
        if _BEGIN.execute(self.connection, rows) == len(rows):
            return
        found = self.states(list(beginning))
        for number, request in beginning.items():
            if number not in found:
                request.failure = failures.unknown("delivery")
            elif found[number][0] != State.QUEUED:
                request.failure = failures.not_begun(found[number][0])

    def _record(self, moving: Collection[Recording]) -> None:
        if self._events_ahead < len(moving):
            self.reserve(events=len(moving))
            self._events_ahead = len(moving)
        self._events_ahead -= len(moving)
        groups: dict[State, list[Recording]] = {}
        for request in moving:
            groups.setdefault(request.event.state, []).append(request)
        events: list[Row] = []
        exchanges: list[Row] = []
        for state, requests in groups.items():
            for number, request in self._move(state, requests):
                event = request.event
                events.append(event_row(number, event))
                if event.sent is not None or event.reply is not None:
                    exchanges.append(_exchange_row(number, request))
        statements.INSERT_EVENTS.execute(self.connection, events)
        statements.INSERT_EXCHANGES.execute(self.connection, exchanges)

    def _move(self, state: State, requests: list[Recording]) -> list[tuple[int, Recording]]:
        """Those that took the step, with the number of their event."""
        change = _MOVE.get(state)
        if change is None:  # a state of messages, or a person's
            found = self.states([request.event.delivery for request in requests])
            for request in requests:
                at = found.get(request.event.delivery)
                request.failure = (
                    failures.unknown("delivery") if at is None else failures.illegal(at[0], state)
                )
            return []
        first = self.event + 1
        self.event += len(requests)
        numbered = list(enumerate(requests, first))
        rows: list[Row] = []
        for number, request in numbered:
            event = request.event
            next_at = None if event.next_at is None else micros(event.next_at)
            rows.append(
                (
                    event.delivery,
                    state.value,
                    event.attempt,
                    next_at,
                    0,
                    1 if event.possible_duplicate or state is State.UNCERTAIN else 0,
                    number,
                )
            )
        if change.execute(self.connection, rows) == len(rows):
            return numbered
        found = self.states([request.event.delivery for request in requests])
        moved = []
        for number, request in numbered:
            at = found.get(request.event.delivery)
            if at is None:
                request.failure = failures.unknown("delivery")
            elif at[1] == number:
                moved.append((number, request))
            elif state is State.UNCERTAIN and at[0] == State.CANCELLED:
                _NOTE.execute(self.connection, [(request.event.delivery, 1, number)])
                moved.append((number, request))
            else:  # its newest event is not this one: it did not move
                request.failure = failures.illegal(at[0], state)
        return moved

    def states(self, numbers: Sequence[int]) -> dict[int, tuple[str, int]]:
        """Delivery → (state, number of its newest event)."""
        found: dict[int, tuple[str, int]] = {}
        for start, size in statements.cuts(len(numbers)):
            marks = ", ".join("?" * size)
            rows = self.connection.execute(
                f"SELECT id, state, event FROM delivery WHERE id IN ({marks})",  # noqa: S608
                numbers[start : start + size],
            )
            found.update((number, (state, event)) for number, state, event in rows)
        return found


_NEVER: Final = 2**62  # a dedup key without a window


def _dedup_row(new: NewMessage, key: str) -> Row:
    received_at = micros(new.message.received_at)
    window = duration(new.dedup_within) if new.dedup_within is not None else 0
    expires_at = received_at + window if window else _NEVER
    return (dedup_digest(new.message.channel, key), new.message.id, received_at, expires_at)


def _message_row(seq: int, new: NewMessage, received_at: int, first_delivery: int) -> Row:
    message = new.message
    return (
        seq,
        message.id,
        message.channel,
        storable(new.type),
        storable(new.control_id),
        new.state.value,
        received_at,
        storable(new.peer),
        len(message.payload.body),
        new.config_version,
        first_delivery,
        len(new.deliveries),
        object_text(new.keys),
        error_text(new.error),
        " ".join(message.parents) or None,
        object_text(message.attributes),
    )


def delivery_row(number: int, seq: int, target: NewDelivery, owner: int, event: int = 0) -> Row:
    """The row of a new delivery of message ``seq``; ``event`` is its newest one, if any."""
    return (
        number,
        seq,
        target.route,
        target.target,
        target.channel,
        target.lane,
        target.key_hash,
        "queued",
        0,
        None,
        0,
        0,
        event,
        owner,
    )


def event_row(number: int, event: Event) -> Row:
    """The row of ``event`` as event ``number``."""
    return (
        number,
        event.delivery,
        event.state.value,
        micros(event.at),
        event.attempt,
        1 if event.possible_duplicate else 0,
        error_text(event.error),
        event.actor,
        None if event.remote_id is None else storable(event.remote_id),
        event.mapping_version,
        event.route_version,
    )


def _exchange_row(number: int, request: Recording) -> Row:
    sent, reply = request.event.sent, request.event.reply
    return (
        number,
        None if sent is None or request.sent_file else sent.body,
        request.sent_file,
        None if sent is None else sent.content_type,
        None if sent is None else sent.charset,
        None if reply is None or request.reply_file else reply.body,
        request.reply_file,
        None if reply is None else reply.content_type,
        None if reply is None else reply.charset,
    )
