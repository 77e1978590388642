"""A message that no route wanted is given deliveries later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.contract import (
    IllegalTransition,
    NewDelivery,
    NewMessage,
    Query,
    State,
    UnknownMessage,
)
from engine.store import SqlStore
from engine.testing.store import OUTBOUND, START, identity, new_message, step

TWO = (NewDelivery("late", "a", OUTBOUND, 1, 7), NewDelivery("late", "b", OUTBOUND))


def unwanted(number: int, state: State = State.UNROUTED) -> NewMessage:
    return replace(new_message(number), state=state, deliveries=())


@pytest.mark.parametrize("state", [State.UNROUTED, State.FILTERED])
async def test_it_goes_on_like_any_other(store: SqlStore, state: State) -> None:
    message_id = (await store.accept(unwanted(1, state))).message_id
    later = await store.accept(new_message(2))
    entries = await store.reroute(message_id, TWO, actor="anna", config_version="v2")
    first = later.deliveries[-1] + 1
    assert [entry.delivery for entry in entries] == [first, first + 1]
    assert await store.outbox(OUTBOUND, 1, after=0, limit=10) == [entries[0]]
    [summary] = await store.search(Query(message_id=message_id))
    assert summary.state is State.RECEIVED
    assert [each.target for each in summary.deliveries] == ["a", "b"]
    assert await store.search(Query(state=state)) == []
    stored = replace(later, message_id=message_id, deliveries=(entries[0].delivery,))
    await store.record(step(stored, State.SENT))
    events = await store.history(message_id)
    assert [(event.state, event.actor) for event in events] == [
        (State.RECEIVED, "engine"),
        (State.QUEUED, "anna"),
        (State.QUEUED, "anna"),
        (State.SENT, "engine"),
    ]
    assert events[0].route_version == "v2"
    await store.record(step(replace(stored, deliveries=(first + 1,)), State.SENT))
    after = START.replace(year=START.year + 1)
    assert await store.purge(after, content_only=False) == 1  # with both of its deliveries
    assert await store.delivery(first) is None


async def test_only_what_no_route_wanted(store: SqlStore) -> None:
    routed = await store.accept(new_message(1))
    rejected = await store.accept(unwanted(2, State.REJECTED))
    for stored in (routed, rejected):
        with pytest.raises(IllegalTransition):
            await store.reroute(stored.message_id, TWO, actor="anna", config_version="")
    with pytest.raises(UnknownMessage):
        await store.reroute(identity(9), TWO, actor="anna", config_version="")
    purged = await store.accept(unwanted(3))
    await store.purge(START.replace(year=START.year + 1), content_only=True)
    with pytest.raises(UnknownMessage):
        await store.reroute(purged.message_id, TWO, actor="anna", config_version="")
    assert (await store.accept(new_message(4))).deliveries == (routed.deliveries[-1] + 1,)
