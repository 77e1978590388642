"""The broker: RabbitMQ's queues behind the contract.

Three connections: one publishes, and an alarm of the broker stops that one; one consumes and
settles; one declares and counts, and the broker may end it for a queue that is ill.  All come back
by themselves, so nothing above sees a restart of the broker except as publishes that raise and
leases that are lost.

The store's outbox is the truth.  What a broker loses is published again by the relay, and an
envelope that comes twice finds its delivery finished, or in another's hand, and is dropped.  The
queues may therefore be deleted at any time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from engine.broker.failures import closed, undeclared
from engine.broker.rabbitmq import envelopes
from engine.broker.rabbitmq.address import Address
from engine.broker.rabbitmq.declaring import Declaring
from engine.broker.rabbitmq.feed import Feed, Held, put_off
from engine.broker.rabbitmq.link import Link, unavailable
from engine.broker.rabbitmq.mending import Mending
from engine.broker.rabbitmq.publisher import UNCONFIRMED, Publisher
from engine.broker.rabbitmq.topology import LanePlan, delay_exchange, delay_queue, lane_plan
from engine.contract import (
    BrokerUnavailable,
    Envelope,
    ErrorInfo,
    Lease,
    LeaseLost,
    QueueSpec,
    QueueStats,
    Stage,
    Unroutable,
)

LOST_SECONDS = 1.0
"""How often a consumer with full hands looks whether the broker took something back."""


class _Queue:
    """What is known here of one declared queue."""

    __slots__ = ("feed", "leased", "plan", "room", "spec")

    def __init__(self, spec: QueueSpec, plan: LanePlan, feed: Feed) -> None:
        self.spec = spec
        self.plan = plan
        self.feed = feed
        self.room = 0  # so many may be published before the broker is asked how full it is
        self.leased = 0


class RabbitBroker:
    """See the module.  One event loop; ``open`` returns before there is a connection."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._log: Any = structlog.get_logger("carebus.broker")
        self._publishing = Link(address, tls, purpose="publishing", log=self._log)
        self._consuming = Link(address, tls, purpose="consuming", log=self._log)
        self._asking = Link(address, tls, purpose="declaring", log=self._log)
        self._publisher = Publisher(self._publishing)
        self._declaring = Declaring(self._asking, address.prefix)
        self._mending = Mending(self._asking, self._declaring, self._log)
        self._queues: dict[str, _Queue] = {}
        self._tasks: list[asyncio.Task[None]] = []

    shared = True

    @property
    def trouble(self) -> ErrorInfo | None:
        """What keeps envelopes from flowing now: no connection, or the broker's alarm."""
        return self._publishing.trouble or self._consuming.trouble or self._asking.trouble

    async def open(self) -> None:
        self._tasks = [
            asyncio.create_task(part.run(), name=f"broker {name}")
            for name, part in (
                ("publishing", self._publishing),
                ("consuming", self._consuming),
                ("declaring", self._asking),
                ("publisher", self._publisher),
            )
        ]

    async def close(self, grace: timedelta) -> None:
        for queue in self._queues.values():
            queue.feed.close()
        tasks, self._tasks = self._tasks, []
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await asyncio.gather(*(queue.feed.stop() for queue in self._queues.values()))
        except TimeoutError:
            self._log.warning("broker does not answer the good-bye")
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queues.clear()

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        for spec in queues:
            plan = lane_plan(self._address.prefix, spec)
            await self._declaring.declare(plan)
            known = self._queues.get(spec.name)
            if known is not None and known.plan == plan:
                known.spec = spec
                continue
            if known is not None:
                known.feed.close()
                await known.feed.stop()
            self._queues[spec.name] = self._built(spec, plan)
            self._log.debug("queue declared", queue=spec.name, named=plan.lane.name)

    def _built(self, spec: QueueSpec, plan: LanePlan) -> _Queue:
        async def aside(held: Held) -> bool:
            return await self._put_aside(feed, held, held.envelope)

        async def silent() -> None:
            await self._mending.mend(plan.lane, plan.dead)

        feed = Feed(
            spec,
            plan.lane.name,
            self._consuming,
            ready=lambda: self._declaring.refresh(plan),
            silent=silent,
            aside=aside,
            hold=self._address.hold,
            log=self._log,
        )
        return _Queue(spec, plan, feed)

    async def purge(self, queue: str) -> None:
        known = self._named(queue)
        known.feed.purge()
        await self._declaring.purge(known.plan.lane.name)

    async def publish(self, queue: str, envelopes_: Sequence[Envelope]) -> None:
        known = self._named(queue)
        await self._make_room(known, len(envelopes_))
        try:
            await self._published(known, envelopes_)
        except Unroutable:
            # It was deleted behind our back.
            await self._declaring.restore(known.plan)
            known.feed.subscribe_anew()
            raise unavailable(
                "BROKER-QUEUE-GONE", f"queue '{queue}' was deleted, and is declared again"
            ) from None
        except BrokerUnavailable as error:
            if error.info.code == UNCONFIRMED:
                await self._mending.mend(known.plan.lane, known.plan.dead)
            raise

    async def _published(self, known: _Queue, envelopes_: Sequence[Envelope]) -> None:
        now = datetime.now(UTC)
        at_once: list[bytes] = []
        for envelope in envelopes_:
            late = None
            if envelope.not_before is not None and not known.spec.ordered:
                wait = (envelope.not_before - now).total_seconds()
                late = delay_exchange(self._address.prefix, wait)
            if late is None:
                at_once.append(envelopes.write(envelope))
                continue
            await self._delay(late, known, envelope)
        await self._publisher.publish("", known.plan.lane.name, at_once)

    async def _delay(self, exchange: str, known: _Queue, envelope: Envelope) -> None:
        await self._declaring.delays()
        try:
            body = envelopes.write(envelope)
            await self._publisher.publish(exchange, known.plan.lane.name, [body])
        except (BrokerUnavailable, Unroutable) as error:
            self._declaring.doubt_delays()  # they may have been deleted
            if error.info.code == UNCONFIRMED:
                waiting = delay_queue(self._address.prefix, exchange)
                await self._mending.mend(waiting, known.plan.lane)
            raise
        if envelope.not_before is not None:
            known.feed.delayed[envelope.delivery] = envelope.not_before

    async def _put_aside(self, feed: Feed, held: Held, envelope: Envelope) -> bool:
        """Let it wait in the broker; False when that cannot be done now."""
        known = self._queues.get(feed.spec.name)
        if known is None or envelope.not_before is None:
            return False
        wait = (envelope.not_before - datetime.now(UTC)).total_seconds()
        exchange = delay_exchange(self._address.prefix, wait)
        if exchange is None:
            return False
        try:
            await self._delay(exchange, known, envelope)
        except (BrokerUnavailable, Unroutable) as error:
            self._log.warning("retry waits here", queue=feed.spec.name, code=error.info.code)
            return False
        if not held.gone:
            feed.settle(held, "ack")
        return True

    async def _make_room(self, known: _Queue, count: int) -> None:
        """Raise BrokerUnavailable when the queue would hold more than it may.  The broker is asked
        only when what was published since the last time could fill it."""
        if count > known.room:
            ready, _ = await self._declaring.refresh(known.plan)
            held = ready + known.feed.unsettled + len(known.feed.delayed)
            known.room = known.spec.capacity - held
            if count > known.room:
                raise unavailable(
                    "BROKER-FULL",
                    f"queue '{known.spec.name}' holds {held} of {known.spec.capacity} envelopes",
                    "publish again when some are settled",
                )
        known.room -= count

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int) -> AsyncIterator[AsyncIterator[Lease]]:
        known = self._named(queue)
        feed = known.feed
        consumer = _Consumer(self, known, prefetch)
        feed.consumers += 1
        feed.start()
        try:
            yield consumer
        finally:
            consumer.end()
            feed.consumers -= 1
            if not feed.consumers:
                await feed.stop()

    async def stats(self, queue: str) -> QueueStats:
        """``parked`` is counted for all lanes of a target together.  Of other processes, what waits
        in the queue is seen, and not what they have in hand or put aside for later."""
        known = self._named(queue)
        outside, _ = await self._declaring.refresh(known.plan)
        ready, late = known.feed.waiting()
        return QueueStats(
            ready=ready + outside,
            leased=known.leased,
            delayed=late,
            parked=await self._declaring.count(known.plan.dead),
        )

    async def _park(self, known: _Queue, held: Held, error: ErrorInfo) -> None:
        body = envelopes.write(held.envelope, dead_for=error.code)
        try:
            await self._publisher.publish("", known.plan.dead.name, [body])
        except (BrokerUnavailable, Unroutable) as failure:
            known.feed.settle(held, "dead")  # the broker does it, without the reason
            if failure.info.code == UNCONFIRMED:
                await self._mending.mend(known.plan.dead, known.plan.lane)
        else:
            known.feed.settle(held, "ack")

    def _named(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise undeclared(name)
        return queue


class _Consumer:
    """The iterator that ``consume`` yields; it goes on when the connection comes back."""

    __slots__ = ("_broker", "_open", "_prefetch", "_room", "queue")

    def __init__(self, broker: RabbitBroker, queue: _Queue, prefetch: int) -> None:
        self.queue = queue
        self._broker = broker
        self._prefetch = prefetch
        self._open: dict[Held, None] = {}
        self._room: asyncio.Future[None] | None = None

    def __aiter__(self) -> _Consumer:
        return self

    async def __anext__(self) -> Lease:
        feed = self.queue.feed
        while True:
            if feed.closed:
                raise closed()
            for lost in [each for each in self._open if each.gone]:
                self._gone(lost)
            if len(self._open) >= self._prefetch:
                self._room = asyncio.get_running_loop().create_future()
                await asyncio.wait({self._room}, timeout=LOST_SECONDS)
                continue
            held, wait = feed.take()
            if held is not None:
                self._open[held] = None
                self.queue.leased += 1
                return _Lease(self, held)
            await feed.changed(wait)

    def take(self, held: Held) -> None:
        """Out of this consumer's hands.  Raises LeaseLost."""
        known = held in self._open
        if known:
            self._gone(held)
        if not known or held.gone:
            raise LeaseLost(
                ErrorInfo(
                    "BROKER-LEASE-LOST",
                    "this lease is settled already, or the broker took it back",
                    Stage.SENDING,
                )
            )

    def _gone(self, held: Held) -> None:
        del self._open[held]
        self.queue.leased -= 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def end(self) -> None:
        """Give unsettled leases back, the earliest to the very head."""
        for held in reversed(list(self._open)):
            self._gone(held)
            if not held.gone:
                held.envelope = replace(held.envelope, redelivered=True)
                self.queue.feed.give_back(held)

    async def retry(self, held: Held, after: timedelta, possible_duplicate: bool) -> None:
        feed = self.queue.feed
        again = put_off(held.envelope, after, possible_duplicate)
        held.envelope = again if not feed.spec.ordered else replace(again, not_before=None)
        if feed.spec.ordered or not after:
            held.envelope = replace(again, not_before=None)
            feed.give_back(held, after=after.total_seconds())
        else:
            await self._later(held, after)

    async def _later(self, held: Held, after: timedelta) -> None:
        feed = self.queue.feed
        if not await self._broker._put_aside(feed, held, held.envelope) and not held.gone:
            feed.keep(held, after.total_seconds())

    async def park(self, held: Held, error: ErrorInfo) -> None:
        await self._broker._park(self.queue, held, error)


class _Lease:
    __slots__ = ("_consumer", "_held")

    def __init__(self, consumer: _Consumer, held: Held) -> None:
        self._consumer = consumer
        self._held = held

    @property
    def envelope(self) -> Envelope:
        return self._held.envelope

    @property
    def lost(self) -> bool:
        return self._held.gone

    async def ack(self) -> None:
        self._consumer.take(self._held)
        self._consumer.queue.feed.settle(self._held, "ack")

    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None:
        self._consumer.take(self._held)
        await self._consumer.retry(self._held, after, possible_duplicate)

    async def park(self, error: ErrorInfo) -> None:
        self._consumer.take(self._held)
        await self._consumer.park(self._held, error)
