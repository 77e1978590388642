"""The relay's hand-over between commits and readings of the store, step by step.

A store that answers when the test says so stands in for the real one, since the order of two
threads' steps cannot be chosen with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.broker.embedded import EmbeddedBroker
from engine.contract import (
    ChannelName,
    DeliveryId,
    Message,
    MessageId,
    NewDelivery,
    NewMessage,
    OutboxEntry,
    Payload,
    State,
)
from engine.flow.outbox import OutboxRelay

OUT = ChannelName("out")


def entry(number: int) -> OutboxEntry:
    return OutboxEntry(
        DeliveryId(number), MessageId(f"m{number}"), "r", "t", OUT, 0, State.QUEUED, 0, None, False
    )


class SlowStore:
    """``outbox`` takes its picture at once and hands it over when the test says so."""

    def __init__(self) -> None:
        self.unfinished: list[OutboxEntry] = []
        self.readings: list[asyncio.Future[Sequence[OutboxEntry]]] = []
        self.pictures: list[Sequence[OutboxEntry]] = []

    async def outbox(
        self, channel: str, lane: int, *, after: int, limit: int, mine: bool = False
    ) -> Sequence[OutboxEntry]:
        of_lane = [each for each in self.unfinished if each.lane == lane]
        found = [each for each in of_lane if each.delivery > after][:limit]
        answered: asyncio.Future[Sequence[OutboxEntry]] = asyncio.get_running_loop().create_future()
        self.pictures.append(found)
        self.readings.append(answered)
        return await answered

    async def reading(self) -> int:
        """The number of the next reading, once it was asked for."""
        while len(self.readings) == len([each for each in self.readings if each.done()]):
            await asyncio.sleep(0)
        return len(self.readings) - 1

    async def relane(self, channel: str, lanes: int) -> int:
        self.unfinished = [replace(each, lane=each.key_hash % lanes) for each in self.unfinished]
        return 1

    def answer(self, number: int) -> None:
        self.readings[number].set_result(self.pictures[number])


def commit(relay: OutboxRelay, number: int) -> None:
    message = Message(MessageId(f"m{number}"), ChannelName("in"), Payload(b""), datetime.now(UTC))
    wanted = NewDelivery("r", "t", OUT)
    relay.committed(NewMessage(message, State.RECEIVED), wanted, DeliveryId(number))


@asynccontextmanager
async def relaying() -> AsyncIterator[tuple[OutboxRelay, SlowStore, EmbeddedBroker]]:
    store, broker = SlowStore(), EmbeddedBroker()
    relay = OutboxRelay(OUT, store, broker, lanes=1, ordered=True)  # type: ignore[arg-type]
    await broker.declare(relay.queues())
    running = asyncio.create_task(relay.run())
    try:
        yield relay, store, broker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def published(broker: EmbeddedBroker, count: int) -> list[int]:
    """What is in the queue, once it is so many, and nothing more follows."""
    async with asyncio.timeout(2):
        while (await broker.stats("out")).ready < count:
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    queue: Any = broker._queues["out"]
    return [envelope.delivery for _, envelope in queue.ready]


async def test_what_commits_while_the_store_is_read_follows_once() -> None:
    async with relaying() as (relay, store, broker):
        store.unfinished = [entry(1), entry(2)]
        number = await store.reading()
        commit(relay, 3)
        store.answer(number)
        commit(relay, 4)
        assert await published(broker, 4) == [1, 2, 3, 4]


async def test_what_was_read_before_its_commit_was_told_is_not_published_twice() -> None:
    async with relaying() as (relay, store, broker):
        store.unfinished = [entry(1), entry(2)]
        store.answer(await store.reading())
        assert await published(broker, 2) == [1, 2]
        commit(relay, 1)
        commit(relay, 2)
        commit(relay, 3)
        assert await published(broker, 3) == [1, 2, 3]


async def test_more_than_fits_waits_in_the_store() -> None:
    async with relaying() as (relay, store, broker):
        store.answer(await store.reading())
        lane = relay.lanes[0]
        await published(broker, 0)
        for number in range(1, lane.window + 3):
            commit(relay, number)
            store.unfinished.append(entry(number))
        assert len(await published(broker, lane.window)) == lane.window
        assert lane.behind
        for number in range(1, lane.window + 1):
            relay.finished(lane, DeliveryId(number))
        store.answer(await store.reading())
        assert (await published(broker, lane.window + 2))[-2:] == [lane.window + 1, lane.window + 2]
        assert not lane.behind


async def test_a_replay_is_read_again_and_marked_to_be_looked_at() -> None:
    async with relaying() as (relay, store, broker):
        store.unfinished = [entry(1), entry(2)]
        store.answer(await store.reading())
        await published(broker, 2)
        relay.finished(relay.lanes[0], DeliveryId(1))
        relay.rewind(entry(1))
        store.answer(await store.reading())
        assert await published(broker, 3) == [1, 2, 1]
        queue: Any = broker._queues["out"]
        assert [envelope.redelivered for _, envelope in queue.ready] == [False, False, True]


async def test_a_replay_while_the_store_is_read_is_not_passed_over() -> None:
    async with relaying() as (relay, store, broker):
        store.answer(await store.reading())
        await published(broker, 0)
        for number in (1, 2, 3):
            commit(relay, number)
        assert await published(broker, 3) == [1, 2, 3]
        for number in (1, 2, 3):
            relay.finished(relay.lanes[0], DeliveryId(number))
        store.unfinished = [entry(1)]
        relay.rewind(entry(1))
        number = await store.reading()
        store.unfinished = [entry(1), entry(3)]  # after the picture was taken
        relay.rewind(entry(3))
        store.answer(number)
        async with asyncio.timeout(2):
            store.answer(await store.reading())
        assert await published(broker, 5) == [1, 2, 3, 1, 3]


async def test_what_commits_with_a_lane_of_an_earlier_number_of_lanes_is_led_back() -> None:
    store, broker = SlowStore(), EmbeddedBroker()
    relay = OutboxRelay(OUT, store, broker, lanes=2, ordered=True)  # type: ignore[arg-type]
    await broker.declare(relay.queues())
    running = asyncio.create_task(relay.run())
    try:
        for _ in relay.lanes:
            store.answer(await store.reading())
        store.unfinished = [replace(entry(1), lane=5, key_hash=5 + 8)]
        message = Message(MessageId("m1"), ChannelName("in"), Payload(b""), datetime.now(UTC))
        wanted = NewDelivery("r", "t", OUT, lane=5, key_hash=5 + 8)
        relay.committed(NewMessage(message, State.RECEIVED), wanted, DeliveryId(1))
        async with asyncio.timeout(2):
            store.answer(await store.reading())
            while not (await broker.stats("out/1")).ready:
                await asyncio.sleep(0)
        assert [each.lane for each in store.unfinished] == [1]
        assert not relay.lanes[1].behind
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
