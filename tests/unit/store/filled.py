"""A store with a bit of everything that a store may hold, and what can be read back of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from engine.contract import (
    ChannelName,
    ErrorInfo,
    NewDelivery,
    Payload,
    Query,
    Stage,
    State,
    Stored,
    UnknownMessage,
)
from engine.store import SqlStore
from engine.store.content import LARGE
from engine.testing.store import INBOUND, OUTBOUND, identity, new_message, step

TARGETS = tuple(NewDelivery("admissions", name, ChannelName(name)) for name in ("emr", "lis"))
BIG = bytes(range(256)) * (LARGE // 256 + 1)


async def fill(store: SqlStore, first: int, count: int) -> list[Stored]:
    """Of each ten: two that were sent, one dead, one retrying, one uncertain, one that was being
    sent, one large, one unrouted; the others wait."""
    stored = []
    for number in range(first, first + count):
        new = new_message(number, deliveries=TARGETS)
        kind = number % 10
        if kind == 5:
            new = replace(new, message=replace(new.message, payload=Payload(b"%d" % number + BIG)))
        elif kind == 6:
            new = replace(new, state=State.UNROUTED, deliveries=())
        if number % 3 == 0:
            new = replace(new, dedup_key=f"k{number}", dedup_within=timedelta(days=1))
        stored.append(await store.accept(new))
        await _moved(store, stored[-1], kind)
    return stored


async def _moved(store: SqlStore, stored: Stored, kind: int) -> None:
    answer = {"reply": Payload(b"MSA|AA\x00", "text/plain", "utf-8"), "remote_id": "r1"}
    if kind in (0, 1):
        sent = Payload(BIG if kind else b"sent \xff", "application/json", "utf-8")
        event = step(stored, State.SENT, sent=sent, **answer)
        for delivery in stored.deliveries:
            await store.record(replace(event, delivery=delivery))
    elif kind == 2:
        error = ErrorInfo("R201", "code not in table Sex", Stage.MAPPING)
        await store.record(step(stored, State.DEAD, error=error))
    elif kind == 3:
        await store.record(step(stored, State.RETRYING, next_at=new_message(0).message.received_at))
    elif kind == 4:
        await store.record(step(stored, State.UNCERTAIN))
    elif kind == 7:
        await store.begin(stored.deliveries[0], 1)


async def told(store: SqlStore, numbers: range) -> dict[str, Any]:
    """Everything that the store says about these messages."""
    found: dict[str, Any] = {}
    for number in numbers:
        message_id = identity(number)
        try:
            message = await store.load(message_id)
        except UnknownMessage as error:
            found[message_id] = error.info.code
            continue
        history = await store.history(message_id, content=True)
        (summary,) = await store.search(Query(message_id=message_id))
        (by_key,) = await store.search(Query(keys={"visit": f"V{number}"}, channel=INBOUND))
        found[message_id] = (message, history, summary, by_key)
    return found


async def waiting(store: SqlStore) -> dict[str, dict[int, tuple[State, bool]]]:
    """Of every channel, the deliveries that wait."""
    return {
        channel: {
            entry.delivery: (entry.state, entry.possible_duplicate)
            for entry in await store.outbox(ChannelName(channel), 0, after=0, limit=1000)
        }
        for channel in ("emr", "lis", OUTBOUND)
    }
