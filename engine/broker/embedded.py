"""The broker inside the engine's own process: queues in memory, refilled from the outbox.

It keeps the same promises as a broker over the network as far as memory can: what it confirmed is
in a queue until it is settled, order within a queue is kept also after a retry, an unsettled lease
comes again.  What a restart takes from memory is still an unfinished delivery in the store, and the
outbox relay publishes it anew; that is why nothing here is written to disk.

Used from one event loop only.  No method blocks, and only ``consume`` waits.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.broker.failures import closed, undeclared
from engine.contract import (
    BrokerUnavailable,
    Envelope,
    ErrorInfo,
    Lease,
    LeaseLost,
    QueueSpec,
    QueueStats,
    Stage,
)

PARKED_KEPT = 100
"""Parked envelopes remembered for each queue with their errors; the store remembers all of them."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EmbeddedBroker:
    """See the module.  ``now`` is injectable so that delays can be tested without waiting."""

    shared = False

    def __init__(self, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._queues: dict[str, _Queue] = {}

    async def open(self) -> None:
        """Nothing to open: memory is there."""

    async def close(self, grace: timedelta) -> None:
        """Forget everything.  Consumers that still wait are ended with BrokerUnavailable."""
        for queue in self._queues.values():
            queue.end()
        self._queues.clear()

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        for spec in queues:
            known = self._queues.get(spec.name)
            if known is None:
                self._queues[spec.name] = _Queue(spec, self._now)
            else:
                known.spec = spec

    async def purge(self, queue: str) -> None:
        self._named(queue).forget()

    async def publish(self, queue: str, envelopes: Sequence[Envelope]) -> None:
        self._named(queue).publish(envelopes)

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int) -> AsyncIterator[AsyncIterator[Lease]]:
        consumer = _Consumer(self._named(queue), prefetch)
        try:
            yield consumer
        finally:
            consumer.end()

    async def stats(self, queue: str) -> QueueStats:
        return self._named(queue).stats()

    async def parked(self, queue: str) -> Sequence[tuple[Envelope, ErrorInfo]]:
        """The latest parked envelopes and why, oldest first, `PARKED_KEPT` at most."""
        return tuple(self._named(queue).parked)

    def _named(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise undeclared(name)
        return queue


class _Queue:
    """Envelopes of one lane.  ``ready`` is in order, each with the time before which it is not
    handed out (None: at once).  ``delayed`` is a heap by time, for unordered queues only: in an
    ordered one a delayed head holds back all behind it, and what is published as not due yet is
    handed out, since its worker waits with it where a person can reach it."""

    __slots__ = (
        "_now",
        "_tick",
        "delayed",
        "ended",
        "leased",
        "parked",
        "ready",
        "spec",
        "waiters",
    )

    def __init__(self, spec: QueueSpec, now: Callable[[], datetime]) -> None:
        self.spec = spec
        self._now = now
        self.ready: deque[tuple[datetime | None, Envelope]] = deque()
        self.delayed: list[tuple[datetime, int, Envelope]] = []
        self._tick = itertools.count()
        self.leased = 0
        self.parked: deque[tuple[Envelope, ErrorInfo]] = deque(maxlen=PARKED_KEPT)
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.ended = False

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        held = len(self.ready) + len(self.delayed) + self.leased
        if held + len(envelopes) > self.spec.capacity:
            raise BrokerUnavailable(
                ErrorInfo(
                    "BROKER-FULL",
                    f"queue '{self.spec.name}' holds {held} of {self.spec.capacity} envelopes",
                    Stage.ROUTING,
                    help="publish again when some are settled",
                )
            )
        for envelope in envelopes:
            if envelope.not_before is not None and not self.spec.ordered:
                heapq.heappush(self.delayed, (envelope.not_before, next(self._tick), envelope))
            else:
                self.ready.append((None, envelope))
        self.wake(len(envelopes))

    def take(self) -> tuple[Envelope | None, float | None]:
        """The next envelope that is due, or how many seconds until one may be (None: unknown)."""
        while self.delayed and self.delayed[0][0] <= self._now():
            self.ready.append((None, heapq.heappop(self.delayed)[2]))
        if self.ready:
            due, envelope = self.ready[0]
            wait = 0.0 if due is None else (due - self._now()).total_seconds()
            if wait > 0:
                return None, wait
            self.ready.popleft()
            return envelope, None
        if self.delayed:
            return None, max(0.0, (self.delayed[0][0] - self._now()).total_seconds())
        return None, None

    def forget(self) -> None:
        self.ready.clear()
        self.delayed.clear()

    def give_back(self, envelope: Envelope, after: timedelta | None) -> None:
        """To the head of the queue, or aside until ``after`` where order has no meaning."""
        due = None if after is None else self._now() + after
        if due is None or self.spec.ordered:
            self.ready.appendleft((due, envelope))
        else:
            heapq.heappush(self.delayed, (due, next(self._tick), envelope))
        self.wake(1)

    def wake(self, count: int) -> None:
        while count and self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def stats(self) -> QueueStats:
        late = sum(1 for due, _ in self.ready if due is not None)
        return QueueStats(
            ready=len(self.ready) - late,
            leased=self.leased,
            delayed=len(self.delayed) + late,
            parked=len(self.parked),
        )

    def end(self) -> None:
        self.ended = True
        self.wake(len(self.waiters))


class _Consumer:
    """The iterator that ``consume`` yields; ends only with its context or its broker."""

    __slots__ = ("_open", "_prefetch", "_room", "queue")

    def __init__(self, queue: _Queue, prefetch: int) -> None:
        self.queue = queue
        self._prefetch = prefetch
        self._open: dict[int, _Lease] = {}
        self._room: asyncio.Future[None] | None = None

    def __aiter__(self) -> _Consumer:
        return self

    async def __anext__(self) -> Lease:
        queue = self.queue
        while True:
            if queue.ended:
                raise closed()
            if len(self._open) >= self._prefetch:
                self._room = asyncio.get_running_loop().create_future()
                await self._room
                continue
            envelope, wait = queue.take()
            if envelope is not None:
                lease = _Lease(self, envelope)
                self._open[id(lease)] = lease
                queue.leased += 1
                return lease
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue.waiters.append(waiter)
            try:
                async with asyncio.timeout(wait):
                    await waiter
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                # A wake-up spent on a task that leaves belongs to the next one.
                if waiter.done() and not waiter.cancelled():
                    queue.wake(1)
                raise

    def settled(self, lease: _Lease) -> None:
        if self._open.pop(id(lease), None) is None:
            raise LeaseLost(
                ErrorInfo("BROKER-LEASE-LOST", "this lease is settled already", Stage.SENDING)
            )
        self.queue.leased -= 1
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def end(self) -> None:
        """Give unsettled leases back, the earliest to the very head."""
        for lease in reversed(self._open.values()):
            self.queue.leased -= 1
            self.queue.give_back(replace(lease.envelope, redelivered=True), None)
        self._open.clear()


class _Lease:
    __slots__ = ("_consumer", "envelope")

    lost = False

    def __init__(self, consumer: _Consumer, envelope: Envelope) -> None:
        self._consumer = consumer
        self.envelope = envelope

    async def ack(self) -> None:
        self._consumer.settled(self)

    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None:
        self._consumer.settled(self)
        again = replace(
            self.envelope,
            attempt=self.envelope.attempt + 1,
            not_before=None,
            redelivered=True,
            possible_duplicate=self.envelope.possible_duplicate or possible_duplicate,
        )
        self._consumer.queue.give_back(again, after)

    async def park(self, error: ErrorInfo) -> None:
        self._consumer.settled(self)
        self._consumer.queue.parked.append((self.envelope, error))
