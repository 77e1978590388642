"""An ordered lane that processes share: the store's order, whatever the envelopes do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.broker.embedded import EmbeddedBroker
from engine.contract import (
    BrokerUnavailable,
    ChannelName,
    DeliveryId,
    Envelope,
    ErrorInfo,
    Lease,
    LeaseLost,
    MessageId,
    OutboxEntry,
    QueueSpec,
    Stage,
    State,
    StoreUnavailable,
)
from engine.flow import sequence
from engine.flow.sequence import in_order

OUT = ChannelName("out")
SOON = 0.5


def entry(number: int) -> OutboxEntry:
    return OutboxEntry(
        DeliveryId(number), MessageId(f"m{number}"), "r", "t", OUT, 0, State.QUEUED, 0, None, False
    )


class Store:
    """Unfinished deliveries of one lane."""

    def __init__(self, *numbers: int) -> None:
        self.unfinished = {number: entry(number) for number in numbers}
        self.failures = 0
        self.reads = 0

    async def outbox(
        self, channel: ChannelName, lane: int, *, after: int, limit: int
    ) -> Sequence[OutboxEntry]:
        self.reads += 1
        picture = dict(self.unfinished)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable(ErrorInfo("STORE-BUSY", "busy", Stage.SENDING))
        await self.pause()
        return [picture[each] for each in sorted(picture) if each > after][:limit]

    async def pause(self) -> None:
        """Between the picture and its arrival."""
        await asyncio.sleep(0)

    def commit(self, number: int) -> None:
        self.unfinished[number] = entry(number)


class Token:
    """An envelope of a broker that may take it back."""

    def __init__(self, number: int, *, redelivered: bool = False) -> None:
        message = MessageId(f"m{number}")
        self.envelope = Envelope(DeliveryId(number), message, "r", "t", redelivered=redelivered)
        self.lost = False

    async def ack(self) -> None:
        if self.lost:
            raise LeaseLost(ErrorInfo("BROKER-LEASE-LOST", "lost", Stage.SENDING))

    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None: ...

    async def park(self, error: ErrorInfo) -> None: ...


class Lane:
    """A queue, its store, and a worker's view of both."""

    def __init__(self, store: Store, broker: EmbeddedBroker) -> None:
        self.store = store
        self.broker = broker

    async def announce(self, *numbers: int) -> None:
        for number in numbers:
            await self.publish(Envelope(DeliveryId(number), MessageId(f"m{number}"), "r", "t"))

    async def publish(self, envelope: Envelope) -> None:
        await self.broker.publish("out", [envelope])

    @asynccontextmanager
    async def worker(
        self, *, prefetch: int = 4, marked: bool = False, renew: timedelta = timedelta(minutes=5)
    ) -> AsyncIterator[AsyncIterator[Lease]]:
        async with in_order(
            self.broker.consume("out", prefetch=100),
            self.store,
            OUT,
            0,
            announce=self.publish,
            marked=marked,
            prefetch=prefetch,
            renew=renew,
        ) as leases:
            yield leases

    async def unsettled(self) -> int:
        return (await self.broker.stats("out")).leased

    async def finish(self, lease: Lease) -> None:
        del self.store.unfinished[int(lease.envelope.delivery)]
        await lease.ack()


@asynccontextmanager
async def lane(*numbers: int) -> AsyncIterator[Lane]:
    broker = EmbeddedBroker()
    await broker.declare([QueueSpec("out")])
    yield Lane(Store(*numbers), broker)
    await broker.close(timedelta(0))


async def take(leases: AsyncIterator[Lease]) -> Lease:
    async with asyncio.timeout(SOON):
        return await anext(leases)


async def idle(leases: AsyncIterator[Lease]) -> bool:
    """Nothing comes, though the worker waits."""
    try:
        async with asyncio.timeout(0.02):
            await anext(leases)
    except TimeoutError:
        return True
    return False


async def test_one_envelope_brings_all_that_waits_in_the_order_of_the_store() -> None:
    async with lane(3, 1, 2) as out, out.worker() as leases:
        await out.announce(3)
        found = []
        for _ in range(3):
            lease = await take(leases)
            found.append(int(lease.envelope.delivery))
            await out.finish(lease)
        assert found == [1, 2, 3]
        assert await idle(leases)
        assert await out.unsettled() == 0


async def test_an_idle_lane_reads_nothing() -> None:
    async with lane(1) as out, out.worker() as leases:
        assert await idle(leases)
        assert out.store.reads == 0


async def test_envelopes_that_overtake_each_other_change_nothing() -> None:
    async with lane(1, 2, 3, 4) as out, out.worker() as leases:
        await out.announce(4, 2, 3, 1)
        numbers = [int((await take(leases)).envelope.delivery) for _ in range(4)]
        assert numbers == [1, 2, 3, 4]


async def test_a_delivery_in_hand_is_not_handed_out_again() -> None:
    async with lane(1) as out, out.worker() as leases:
        await out.announce(1)
        lease = await take(leases)
        await out.announce(1)
        assert await idle(leases)
        await out.finish(lease)
        assert await idle(leases)


async def test_what_ends_while_the_store_is_read_is_looked_at_before_it_is_sent() -> None:
    async with lane(1) as out, out.worker() as leases:
        await out.announce(1)
        first = await take(leases)
        reading, go_on = asyncio.Event(), asyncio.Event()

        async def pause() -> None:
            reading.set()
            await go_on.wait()

        out.store.pause = pause  # type: ignore[method-assign]
        out.store.commit(2)
        waiting = asyncio.create_task(take(leases))
        await out.announce(1)
        await reading.wait()
        await out.finish(first)
        go_on.set()
        assert (await waiting).envelope.redelivered


async def test_a_commit_that_ends_late_is_not_forgotten() -> None:
    """Two transactions: the one with the lower id becomes visible last."""
    async with lane(2) as out, out.worker() as leases:
        await out.announce(2)
        await out.finish(await take(leases))
        assert await idle(leases)
        out.store.commit(1)
        await out.announce(1)
        assert (await take(leases)).envelope.delivery == 1


async def test_no_more_than_the_prefetch_is_in_hand() -> None:
    async with lane(1, 2, 3) as out, out.worker(prefetch=2) as leases:
        await out.announce(3)
        first, second = await take(leases), await take(leases)
        assert await idle(leases)
        await out.finish(second)
        assert (await take(leases)).envelope.delivery == 3
        await out.finish(first)


async def test_more_than_one_reading_brings_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "WINDOW", 3)
    async with lane(*range(1, 9)) as out, out.worker(prefetch=2) as leases:
        await out.announce(8)
        for number in range(1, 9):
            lease = await take(leases)
            assert lease.envelope.delivery == number
            await out.finish(lease)
        assert await idle(leases)


async def test_an_envelope_is_held_until_the_lane_is_empty() -> None:
    async with lane(1, 2) as out, out.worker() as leases:
        await out.announce(1, 2)
        first, second = await take(leases), await take(leases)
        assert await out.unsettled() == 1
        await out.finish(first)
        assert await idle(leases)
        assert await out.unsettled() == 1
        await out.finish(second)
        assert await idle(leases)
        assert await out.unsettled() == 0


async def test_the_next_process_learns_of_the_work_and_that_it_may_be_done() -> None:
    async with lane(1, 2, 3) as out:
        async with out.worker(prefetch=2) as leases:
            await out.announce(1)
            await take(leases)
        async with out.worker(prefetch=2) as leases:
            taken = [await take(leases), await take(leases)]
            assert [lease.envelope.delivery for lease in taken] == [1, 2]
            assert all(lease.envelope.possible_duplicate for lease in taken)
            for lease in taken:
                await out.finish(lease)
            third = (await take(leases)).envelope
            assert third.delivery == 3
            assert not third.possible_duplicate


async def test_where_sends_are_marked_only_the_marked_one_is_in_doubt() -> None:
    async with lane(1, 2) as out:
        async with out.worker(marked=True) as leases:
            await out.announce(1)
            await take(leases)
        out.store.unfinished[1] = replace(entry(1), begun=1)
        async with out.worker(marked=True) as leases:
            first, second = await take(leases), await take(leases)
            assert first.envelope.redelivered  # its worker looks into the store
            assert not first.envelope.possible_duplicate
            assert not second.envelope.possible_duplicate


async def test_what_is_finished_elsewhere_settles_its_envelope() -> None:
    async with lane() as out, out.worker() as leases:
        await out.announce(7)
        assert await idle(leases)
        assert await out.unsettled() == 0


async def test_a_store_that_cannot_be_read_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequence, "STORE_RETRY_SECONDS", 0.01)
    async with lane(1) as out, out.worker() as leases:
        out.store.failures = 2
        await out.announce(1)
        assert (await take(leases)).envelope.delivery == 1


async def test_an_envelope_held_for_long_is_exchanged() -> None:
    async with lane(1) as out, out.worker(renew=timedelta(milliseconds=20)) as leases:
        await out.announce(1)
        lease = await take(leases)
        await asyncio.sleep(0.1)
        assert await out.unsettled() == 1  # another than at first, and never none
        assert await idle(leases)
        await out.finish(lease)
        assert await idle(leases)
        assert await out.unsettled() == 0


async def test_a_lane_that_is_taken_away_is_left_alone_until_it_comes_back() -> None:
    tokens: asyncio.Queue[Token] = asyncio.Queue()

    @asynccontextmanager
    async def consumer() -> AsyncIterator[AsyncIterator[Lease]]:
        async def each() -> AsyncIterator[Lease]:
            while True:
                yield await tokens.get()

        yield each()

    async def announce(_: Envelope) -> None: ...

    store = Store(1, 2, 3)
    async with in_order(
        consumer(), store, OUT, 0, announce=announce, marked=False, prefetch=4
    ) as leases:
        first = Token(3)
        tokens.put_nowait(first)
        sending, waiting = await take(leases), await take(leases)
        first.lost = True
        assert sending.lost
        assert await idle(leases)
        del store.unfinished[1]
        await sending.ack()  # the send ended well, and is recorded
        await waiting.ack()  # its worker let go of it
        assert await idle(leases)
        again = Token(3, redelivered=True)
        tokens.put_nowait(again)
        taken = [await take(leases), await take(leases)]
        assert [(each.envelope.delivery, each.lost) for each in taken] == [(2, False), (3, False)]
        assert all(each.envelope.possible_duplicate for each in taken)


async def test_a_retry_comes_again_before_all_others() -> None:
    async with lane(1, 2) as out, out.worker() as leases:
        await out.announce(2)
        lease = await take(leases)
        await lease.retry(timedelta(0), possible_duplicate=True)
        with pytest.raises(LeaseLost):
            await lease.ack()
        again = (await take(leases)).envelope
        assert (again.delivery, again.attempt, again.possible_duplicate) == (1, 2, True)


async def test_a_parked_delivery_lets_the_lane_go_on() -> None:
    async with lane(1, 2) as out, out.worker() as leases:
        await out.announce(2)
        lease = await take(leases)
        del out.store.unfinished[1]
        await lease.park(ErrorInfo("X", "dead", Stage.SENDING))
        assert (await take(leases)).envelope.delivery == 2


async def test_the_end_of_the_broker_ends_the_worker() -> None:
    async with lane(1) as out, out.worker() as leases:
        await out.broker.close(timedelta(0))
        with pytest.raises(BrokerUnavailable):
            await take(leases)


async def test_a_cancelled_worker_takes_nothing_with_it() -> None:
    async with lane() as out, out.worker() as leases:
        waiting = asyncio.create_task(take(leases))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        out.store.commit(1)
        await out.announce(1)
        assert (await take(leases)).envelope.delivery == 1
