"""What a person does: replay and cancel a delivery, route a message again.  Functions of the
writer's transaction; each checks everything before it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.contract import DeliveryId, Event, MessageId, NewDelivery, OutboxEntry, State
from engine.store import failures
from engine.store.ledger import Ledger, delivery_row, event_row
from engine.store.reading import entry
from engine.store.rows import micros
from engine.store.statements import INSERT_DELIVERIES, INSERT_EVENTS
from engine.store.states import PEER_MAY_HAVE_IT, PERSON_STEPS, REROUTABLE


def replay(ledger: Ledger, number: DeliveryId, actor: str) -> OutboxEntry:
    """Raises IllegalTransition, UnknownMessage (also when its content was purged)."""
    found = _checked(ledger, number, State.QUEUED)
    kept = ledger.connection.execute(
        "SELECT 1 FROM delivery AS d JOIN content AS c ON c.seq = d.message WHERE d.id = ?",
        (number,),
    ).fetchone()
    if kept is None:
        raise failures.purged()
    again = found.possible_duplicate or found.state in PEER_MAY_HAVE_IT
    _take(ledger, found, State.QUEUED, actor, attempt=0, possible_duplicate=again)
    entered = entry(ledger.connection, number)
    assert entered is not None  # noqa: S101  # it was found in this very transaction
    return entered


def cancel(ledger: Ledger, number: DeliveryId, actor: str) -> None:
    """Raises IllegalTransition, UnknownMessage."""
    found = _checked(ledger, number, State.CANCELLED)
    if ledger.node and found.begun and found.state is State.QUEUED:
        raise failures.being_sent()
    _take(
        ledger,
        found,
        State.CANCELLED,
        actor,
        attempt=found.attempt,
        possible_duplicate=found.possible_duplicate,
    )


def hurry(ledger: Ledger, number: DeliveryId) -> OutboxEntry:
    """Raises IllegalTransition, UnknownMessage."""
    found = entry(ledger.connection, number)
    if found is None:
        raise failures.unknown("delivery")
    if found.state is not State.RETRYING:
        raise failures.illegal(found.state, State.QUEUED)
    now = ledger.now()
    ledger.connection.execute("UPDATE delivery SET next_at = ? WHERE id = ?", (micros(now), number))
    ledger.tell(found.channel, number)
    return replace(found, next_at=now)


def reroute(
    ledger: Ledger,
    message_id: MessageId,
    deliveries: Sequence[NewDelivery],
    actor: str,
    config_version: str,
) -> list[OutboxEntry]:
    """Raises IllegalTransition, UnknownMessage (also when its content was purged)."""
    row = ledger.connection.execute(
        "SELECT m.seq, m.state, c.seq FROM message AS m LEFT JOIN content AS c ON c.seq = m.seq"
        " WHERE m.id = ?",
        (message_id,),
    ).fetchone()
    if row is None:
        raise failures.unknown("message")
    seq, state, kept = row
    if state not in REROUTABLE:
        raise failures.not_rerouted(state)
    if kept is None:
        raise failures.purged()
    # It had no deliveries, so their ids can follow each other now as they would have then.
    ledger.reserve(0, len(deliveries), len(deliveries))
    first = ledger.delivery + 1
    numbers = range(first, first + len(deliveries))
    ledger.delivery += len(deliveries)
    ledger.connection.execute(
        "UPDATE message SET state = ?, delivery = ?, fanout = ?, config_version = ? WHERE seq = ?",
        (State.RECEIVED.value, first, len(deliveries), config_version, seq),
    )
    rows, events = [], []
    for number, wanted in zip(numbers, deliveries, strict=True):
        ledger.event += 1
        rows.append(delivery_row(number, seq, wanted, ledger.node, ledger.event))
        event = Event(DeliveryId(number), message_id, State.QUEUED, ledger.now(), actor=actor)
        events.append(event_row(ledger.event, event))
    INSERT_DELIVERIES.execute(ledger.connection, rows)
    INSERT_EVENTS.execute(ledger.connection, events)
    entered = [entry(ledger.connection, DeliveryId(number)) for number in numbers]
    return [one for one in entered if one is not None]


def _checked(ledger: Ledger, number: DeliveryId, target: State) -> OutboxEntry:
    found = entry(ledger.connection, number)
    if found is None:
        raise failures.unknown("delivery")
    if target not in PERSON_STEPS[found.state]:
        raise failures.illegal(found.state, target)
    return found


def _take(
    ledger: Ledger,
    found: OutboxEntry,
    state: State,
    actor: str,
    *,
    attempt: int,
    possible_duplicate: bool,
) -> None:
    ledger.reserve(events=1)
    ledger.event += 1
    ledger.connection.execute(
        "UPDATE delivery SET state = ?, attempt = ?, next_at = NULL, begun = 0,"
        " possible_duplicate = ?, event = ?, owner = ? WHERE id = ?",
        (
            state.value,
            attempt,
            int(possible_duplicate),
            ledger.event,
            ledger.node,
            found.delivery,
        ),
    )
    event = Event(
        found.delivery,
        found.message_id,
        state,
        ledger.now(),
        attempt=attempt,
        possible_duplicate=possible_duplicate,
        actor=actor,
    )
    INSERT_EVENTS.execute(ledger.connection, [event_row(ledger.event, event)])
    ledger.tell(found.channel, found.delivery)
