"""The envelopes of one queue as they come into this process, and its consumers here.

All consumers of a queue in this process share one consumer of the broker, so that an envelope in a
worker's hand can be taken anew without any other worker seeing it:

An envelope may stay unsettled as long as its worker needs, hours when its peer is down.
RabbitMQ ends a channel with a delivery older than its ``consumer_timeout``.  Therefore what is
older than ``hold`` is returned and comes straight back, under a new tag and into the same hand.  In
an ordered queue all unsettled ones are returned in one command, at most `ORDERED_WINDOW`: RabbitMQ
keeps the order of so many, and puts them before all others.  This process stays the queue's active
consumer meanwhile.

A watch looks for a consumer that was lost without a word: when nothing came for a while, and the
queue has no consumer or holds envelopes for which there is room here, it subscribes anew.  A
deleted queue is declared again; what was in it is announced again from the store.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pika.exceptions import AMQPError

from engine.broker.rabbitmq import envelopes
from engine.broker.rabbitmq.link import Channel, ChannelEnded, Link, pause
from engine.contract import BrokerUnavailable, DeliveryId, Envelope, QueueSpec

ORDERED_WINDOW = 32
FREE_WINDOW = 128
WATCH_SECONDS = 5.0
LONGEST_WATCH_SECONDS = 60.0
"""A lane in which nothing happens is looked at less and less often."""
CONSUME_SECONDS = 5.0
"""A queue that has a leader answers in milliseconds, and an election takes a second or two."""
RETURN_SECONDS = 30.0
"""What was returned and did not come back so long went to another process."""

Ready = Callable[[], Awaitable[tuple[int, int]]]
"""Declares the queue if it is not there.  How many envelopes wait in it, and how many consumers."""


class Held:
    """One unsettled envelope.  ``tag`` is None while it is being taken anew, and when it is
    ``gone``: settled, or the broker took it back."""

    __slots__ = ("due", "envelope", "gone", "number", "since", "tag", "wanted")

    def __init__(self, envelope: Envelope, tag: int, number: int, since: float) -> None:
        self.envelope = envelope
        self.tag: int | None = tag
        self.number = number  # the order of arrival
        self.since = since
        self.due = 0.0  # loop time before which nobody gets it
        self.gone = False
        self.wanted: str | None = None  # how it was settled while it was being taken anew


class Feed:
    """`start` and `stop` may be called again and again; everything on one event loop."""

    def __init__(
        self,
        spec: QueueSpec,
        queue: str,
        link: Link,
        *,
        ready: Ready,
        silent: Callable[[], Awaitable[None]],
        aside: Callable[[Held], Awaitable[bool]],
        hold: timedelta,
        log: Any,
    ) -> None:
        self.spec = spec
        self.delayed: dict[DeliveryId, datetime] = {}  # by us, in the broker
        self.consumers = 0
        self._queue = queue
        self._link = link
        self._declared = ready
        self._silent = silent
        self._aside = aside
        self._hold = hold.total_seconds()
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._moving: set[asyncio.Task[None]] = set()
        self._channel: Channel | None = None
        self._ready: deque[Held] = deque()
        self._later: list[tuple[float, int, Held]] = []
        self._held: dict[int, Held] = {}
        self._returning: dict[DeliveryId, Held] = {}
        self._strays: list[Held] = []
        self._returned_at = 0.0
        self._numbers = itertools.count()
        self._arrived_at = 0.0
        self._silences = 0
        self._watch = WATCH_SECONDS
        self._looking = asyncio.Event()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.closed = False

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"feed {self._queue}")

    async def stop(self) -> None:
        """The broker has back what is not settled, in its old order, when this returns."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def close(self) -> None:
        """The broker is being closed: whoever waits is told."""
        self.closed = True
        self._wake(len(self._waiters))

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._now()
            try:
                await self._subscribed()
            except (ChannelEnded, BrokerUnavailable) as error:
                self._log.warning("consumer not open", queue=self.spec.name, reason=str(error))
            failures = 1 if self._now() - began > WATCH_SECONDS else failures + 1
            await asyncio.sleep(pause(failures))

    async def _subscribed(self) -> None:
        channel = await self._link.channel(within=None)
        try:
            await self._declared()
            window = ORDERED_WINDOW if self.spec.ordered else FREE_WINDOW
            await channel.ask(channel.raw.basic_qos, prefetch_count=window)
            over = _over(channel)
            self._channel, self._arrived_at, self._silences = channel, self._now(), 0
            self._watch = WATCH_SECONDS
            try:
                await channel.ask(
                    channel.raw.basic_consume,
                    within=CONSUME_SECONDS,
                    queue=self._queue,
                    on_message_callback=self._on_message,
                )
            except BrokerUnavailable:
                await self._silent()
                raise
            while not over.done():
                self._looking = asyncio.Event()
                looking = asyncio.ensure_future(self._looking.wait())
                over.add_done_callback(lambda _: self._looking.set())
                await asyncio.wait({looking}, timeout=min(self._watch, self._hold / 4))
                looking.cancel()
                if not over.done():
                    self._take_anew(channel)
                    if self._looking.is_set() or await self._is_lost(window):
                        self._log.warning("consumer lost", queue=self.spec.name)
                        return
            self._log.warning("consumer ended", queue=self.spec.name, reason=over.result())
        finally:
            self._forget()
            for task in self._moving:
                task.cancel()
            await channel.close()

    async def _is_lost(self, window: int) -> bool:
        """Whether the queue has no consumer any more, or holds envelopes that should have come:
        that is seen twice, since they may be on their way."""
        if self._now() - self._arrived_at < self._watch:
            self._watch = WATCH_SECONDS
            return False
        try:
            waiting, consumers = await self._declared()
        except BrokerUnavailable:
            return False  # what is in hand stays there
        if not consumers:
            return True
        if not waiting or len(self._held) >= window:
            self._silences = 0
            self._watch = min(2 * self._watch, LONGEST_WATCH_SECONDS)
            return False
        self._silences += 1
        self._watch = WATCH_SECONDS
        return self._silences > 1

    def subscribe_anew(self) -> None:
        """The queue is not the one that was subscribed to."""
        self._looking.set()

    def _forget(self) -> None:
        """The channel is gone: the broker has all of it back."""
        self._channel = None
        for held in (*self._held.values(), *self._returning.values()):
            held.gone, held.tag = True, None
        self._held.clear()
        self._returning.clear()
        self._strays.clear()
        self._ready.clear()
        self._later.clear()

    # --- what the broker says -------------------------------------------------------------------

    def _on_message(self, raw: Any, method: Any, _properties: Any, body: bytes) -> None:
        if self._channel is None or raw is not self._channel.raw:
            return
        self._arrived_at, self._silences = self._now(), 0
        envelope = envelopes.read(body, redelivered=method.redelivered)
        if envelope is None:
            self._log.error("not an envelope of ours", queue=self.spec.name)
            raw.basic_reject(method.delivery_tag, requeue=False)
            return
        held = self._returning.pop(envelope.delivery, None)
        if held is not None:
            self._taken_anew(held, method.delivery_tag)
            return
        held = Held(envelope, method.delivery_tag, next(self._numbers), self._now())
        self._held[method.delivery_tag] = held
        self.delayed.pop(envelope.delivery, None)
        if self._returning and self.spec.ordered:
            self._strays.append(held)
        if envelope.not_before is None or self.spec.ordered:
            self._ready.append(held)
            self._wake(1)
        else:
            # The rest of a wait that was longer than the delay queue's.
            seconds = (envelope.not_before - datetime.now(UTC)).total_seconds()
            task = asyncio.create_task(self._put_aside(held, seconds))
            self._moving.add(task)
            task.add_done_callback(self._moving.discard)

    def _take_anew(self, channel: Channel) -> None:
        """Return what is unsettled for too long; it comes back at once."""
        now = self._now()
        if self._returning:
            if now - self._returned_at > RETURN_SECONDS:
                for held in self._returning.values():
                    held.gone = True
                self._returning.clear()
            return
        old = [held for held in self._held.values() if now - held.since > self._hold]
        if not old:
            return
        self._returned_at = now
        with suppress(AMQPError):
            if self.spec.ordered:
                last = max(self._held)
                self._return(list(self._held.values()))
                channel.raw.basic_nack(last, multiple=True, requeue=True)
            else:
                for tag in self._return(old):
                    channel.raw.basic_nack(tag, requeue=True)

    def _return(self, those: list[Held]) -> list[int]:
        tags = []
        for held in those:
            if held.tag is not None:
                tags.append(held.tag)
                del self._held[held.tag]
                held.tag = None
            self._returning[held.envelope.delivery] = held
        return tags

    def _taken_anew(self, held: Held, tag: int) -> None:
        held.tag, held.since = tag, self._now()
        self._held[tag] = held
        if held.wanted is not None:
            self.settle(held, held.wanted)
        if self._returning or not self._strays:
            return
        # They came while others were on their way back, and stand before them now in the broker.
        strays, self._strays = [each for each in self._strays if each.tag is not None], []
        channel = self._channel
        if channel is None:
            return
        self._returned_at = self._now()
        with suppress(AMQPError):
            for tag in self._return(strays):
                channel.raw.basic_nack(tag, requeue=True)

    # --- what consumers and leases ask ----------------------------------------------------------

    def take(self) -> tuple[Held | None, float | None]:
        """The next that is due, or in how many seconds one may be (None: unknown)."""
        now = self._now()
        while self._later and self._later[0][0] <= now:
            held = heapq.heappop(self._later)[2]
            if not held.gone:
                self._ready.append(held)
        while self._ready:
            held = self._ready[0]
            if held.gone:
                self._ready.popleft()
            elif held.due > now:
                return None, held.due - now
            else:
                return self._ready.popleft(), None
        return None, self._later[0][0] - now if self._later else None

    async def changed(self, within: float | None) -> None:
        """Return when something may be there to `take`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(within):
                await waiter
        except TimeoutError:
            return
        except asyncio.CancelledError:
            # A wake-up spent on a task that leaves belongs to the next one.
            if waiter.done() and not waiter.cancelled():
                self._wake(1)
            raise

    def settle(self, held: Held, how: str) -> None:
        """``ack``, or ``dead``: the broker sets it aside itself."""
        if held.tag is None:
            held.wanted = how
            return
        del self._held[held.tag]
        with suppress(AMQPError):  # the connection ends at this moment: it comes again
            if self._channel is not None:
                if how == "ack":
                    self._channel.raw.basic_ack(held.tag)
                else:
                    self._channel.raw.basic_reject(held.tag, requeue=False)
        held.tag, held.gone = None, True

    def give_back(self, held: Held, *, after: float = 0.0) -> None:
        """To the head; where order counts, all others wait ``after`` with it."""
        held.due = self._now() + after if after else 0.0
        self._ready.appendleft(held)
        self._wake(1)

    def keep(self, held: Held, seconds: float) -> None:
        """Where order has no meaning: hand it out in so many seconds, others meanwhile."""
        heapq.heappush(self._later, (self._now() + seconds, held.number, held))
        self._wake(1)

    async def _put_aside(self, held: Held, seconds: float) -> None:
        until = self._now() + seconds
        if not await self._aside(held) and not held.gone:
            self.keep(held, until - self._now())

    def purge(self) -> None:
        """Forget what no worker has in hand."""
        for held in (*self._ready, *(each for _, _, each in self._later)):
            if not held.gone:
                self.settle(held, "ack")
        self._ready.clear()
        self._later.clear()

    def waiting(self) -> tuple[int, int]:
        """How many here nobody has in hand: due, and not due yet.  With those that this process
        put aside in the broker."""
        late = sum(1 for held in self._ready if held.due > self._now())
        now = datetime.now(UTC)
        for delivery in [each for each, due in self.delayed.items() if due <= now]:
            del self.delayed[delivery]
        return len(self._ready) - late, late + len(self._later) + len(self.delayed)

    @property
    def unsettled(self) -> int:
        return len(self._held) + len(self._returning)

    def _wake(self, count: int) -> None:
        while count and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _over(channel: Channel) -> asyncio.Future[str]:
    """Why there is nothing more to expect: the channel ended, or the broker cancelled."""
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(reason: str) -> None:
        if not over.done():
            over.set_result(reason)

    channel.raw.add_on_cancel_callback(lambda _: tell("cancelled"))
    channel.ended.add_done_callback(lambda ended: tell(type(ended.result()).__name__))
    return over


def put_off(envelope: Envelope, after: timedelta, possible_duplicate: bool) -> Envelope:
    """As it comes again after a retry."""
    return replace(
        envelope,
        attempt=envelope.attempt + 1,
        not_before=datetime.now(UTC) + after,
        redelivered=True,
        possible_duplicate=envelope.possible_duplicate or possible_duplicate,
    )
