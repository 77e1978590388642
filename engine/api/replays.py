"""Replaying many deliveries at once: found first, then oldest first, never more than a bound.

A message that no route wanted has no deliveries; replaying it routes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.api.engine import ControlledEngine
from engine.api.problem import Problem
from engine.contract import (
    DeliverySummary,
    EngineError,
    MessageId,
    MessageStore,
    MessageSummary,
    Query,
    State,
)

MOST: Final = 10_000
"""Deliveries of one request.  A larger answer is refused: half of it would break the order."""

REPLAYABLE: Final = frozenset({State.SENT, State.DEAD, State.CANCELLED, State.UNCERTAIN})
REROUTABLE: Final = frozenset({State.UNROUTED, State.FILTERED})

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Found:
    message: MessageSummary
    delivery: DeliverySummary | None  # None: the message itself, to be routed again


@dataclass(frozen=True, slots=True)
class Failed:
    found: Found
    error: EngineError


def replayable(message: MessageSummary, query: Query) -> Sequence[Found]:
    """What of the message ``query`` means: the deliveries in its state (any state that can be
    replayed when it names none) and of its channel when that is an outbound one; or the message,
    when no route wanted it."""
    if message.state in REROUTABLE:
        return [Found(message, None)] if query.state in (None, message.state) else []
    states = REPLAYABLE if query.state is None else REPLAYABLE & {query.state}
    any_channel = query.channel is None or query.channel == message.channel
    return [
        Found(message, delivery)
        for delivery in message.deliveries
        if delivery.state in states and (any_channel or delivery.channel == query.channel)
    ]


async def find(store: MessageStore, query: Query) -> Sequence[Found]:
    """All that the query means, oldest first.

    ``query.limit`` and ``query.before`` are ignored.  Raises Problem (422) when there are more
    than `MOST`, or when the query names no state, or one that cannot be replayed.
    """
    if query.state is None or query.state not in REPLAYABLE | REROUTABLE:
        raise Problem(
            422,
            "P017",
            "a replay needs the state of the deliveries it means",
            f"give one of {', '.join(sorted(REPLAYABLE | REROUTABLE))}",
        )
    found: list[Found] = []
    before: MessageId | None = None
    while True:
        page = await store.search(replace(query, limit=_PAGE, before=before))
        for message in page:
            found += replayable(message, query)
        if len(found) > MOST:
            raise Problem(
                422,
                "P017",
                f"more than {MOST} deliveries would be replayed",
                "narrow the search with since and until, and replay the oldest part first",
            )
        if len(page) < _PAGE:
            return sorted(found, key=_age)
        before = page[-1].message_id


def _age(one: Found) -> tuple[int, MessageId]:
    """Deliveries by number, messages by the time they came."""
    return 0 if one.delivery is None else one.delivery.delivery, one.message.message_id


async def replay(
    engine: ControlledEngine, chosen: Sequence[Found], *, actor: str
) -> Sequence[Failed]:
    """One after the other, so that they queue in this order; goes on after one that is refused
    (its state may have changed meanwhile) and returns those."""
    failed: list[Failed] = []
    for one in chosen:
        try:
            if one.delivery is None:
                await engine.reroute(one.message.message_id, actor=actor)
            else:
                await engine.replay(one.delivery.delivery, actor=actor)
        except EngineError as error:
            failed.append(Failed(one, error))
    return failed
