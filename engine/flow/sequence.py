"""Leases of an ordered lane that several processes share, in the order of the store.

In such a lane an envelope does not say what is next: it says that the lane has work.  The store
says which, and in what order.  Two processes may commit at the same time and their envelopes may
overtake each other on the way to the queue; nothing depends on that, since whoever works a lane
reads its unfinished deliveries by id, each time from the first: what a process committed and never
announced, since it died, takes its place as soon as anybody looks.  The broker decides who that is
(a single active consumer for each queue), and hands the lane to another process when that one is
gone.

One envelope stays unsettled for as long as the lane has work, so that a lane whose process dies
comes to the next one together with the news that there is something to do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from engine.contract import (
    BrokerUnavailable,
    ChannelName,
    DeliveryId,
    Envelope,
    ErrorInfo,
    Lease,
    LeaseLost,
    OutboxEntry,
    Stage,
    StoreUnavailable,
)

WINDOW: Final = 256
"""Deliveries that one reading of the store brings at most."""
RENEW: Final = timedelta(minutes=5)
"""How long one envelope is held.  RabbitMQ closes a consumer that settles nothing for 30 minutes
(consumer_timeout), and a lane may wait for a person for days."""
STORE_RETRY_SECONDS: Final = 1.0

Announce = Callable[[Envelope], Awaitable[None]]
"""Publish this envelope to the lane's own queue.  Raises BrokerUnavailable."""


class Unfinished(Protocol):
    """What of the store is needed here."""

    async def outbox(
        self, channel: ChannelName, lane: int, *, after: int, limit: int
    ) -> Sequence[OutboxEntry]: ...


@asynccontextmanager
async def in_order(
    consumer: AbstractAsyncContextManager[AsyncIterator[Lease]],
    store: Unfinished,
    channel: ChannelName,
    lane: int,
    *,
    announce: Announce,
    marked: bool,
    prefetch: int,
    renew: timedelta = RENEW,
) -> AsyncIterator[AsyncIterator[Lease]]:
    """Leases of this lane in the store's order, at most ``prefetch`` unsettled at a time.

    ``marked``: each send is marked in the store, which therefore knows what another process may
    have sent.  Entering never waits for work.  Ends with what ``consumer`` raises.  Leaving gives
    the held envelope back to the broker unless the lane was empty.
    """
    async with consumer as envelopes:
        order = _Order(store, channel, lane, prefetch, marked)
        tasks = (
            asyncio.create_task(order.listen(envelopes)),
            asyncio.create_task(order.renew(announce, renew.total_seconds())),
        )
        try:
            yield order
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Order:
    """One consumer's view of one lane.  One event loop, one worker."""

    def __init__(
        self, store: Unfinished, channel: ChannelName, lane: int, prefetch: int, marked: bool
    ) -> None:
        self._store = store
        self._channel = channel
        self._lane = lane
        self._prefetch = prefetch
        self._marked = marked
        self._plan: deque[Envelope] = deque()
        self._open: dict[DeliveryId, _Ordered] = {}
        self._due = False  # something may be in the store that was not planned
        self._more = False  # the last reading was full
        self._suspect = 0  # deliveries to come that another process may have sent already
        self._held: Lease | None = None
        self._held_since = 0.0
        self.term = 0  # counts how often the lane was taken away
        self._ended: BaseException | None = None
        self._changed = asyncio.Event()

    # --- the broker's side --------------------------------------------------------------------

    async def listen(self, envelopes: AsyncIterator[Lease]) -> None:
        """Take every envelope, and keep the newest one unsettled."""
        try:
            async for lease in envelopes:
                envelope = lease.envelope
                if envelope.redelivered:
                    # Whoever had the lane before may have run this far ahead of its outcomes.
                    self._suspect = self._prefetch
                if self.taken_away:
                    self._leave()
                self._due = True
                before, self._held = self._held, lease
                self._held_since = asyncio.get_running_loop().time()
                self._changed.set()
                if before is not None:
                    await _settled(before)
            self._ended = BrokerUnavailable(_ENDED)
        except Exception as error:  # handed to the worker, which is who consumes
            self._ended = error
        finally:
            self._changed.set()

    async def renew(self, announce: Announce, seconds: float) -> None:
        """Exchange an envelope that is held for long; the lane is told of itself."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(seconds / 4)
            held = self._held
            if held is not None and loop.time() - self._held_since >= seconds:
                try:
                    await announce(replace(held.envelope, redelivered=False))
                except BrokerUnavailable:
                    continue  # as long as the broker is away, it ends no consumer

    # --- the worker's side --------------------------------------------------------------------

    def __aiter__(self) -> _Order:
        return self

    async def __anext__(self) -> Lease:
        while True:
            if self._ended is not None:
                raise self._ended
            self._changed.clear()
            if self.taken_away:
                self._leave()
            if len(self._open) < self._prefetch:
                if self._plan:
                    return self._handed(self._plan.popleft())
                if self._held is not None and (self._more or self._due):
                    await self._read()
                    continue
                await self._rest()
            if self._ended is None:
                await self._changed.wait()

    @property
    def taken_away(self) -> bool:
        """The broker took the held envelope back, and perhaps gave the lane to another process."""
        return self._held is not None and self._held.lost

    def _leave(self) -> None:
        """Do no more of this lane until the broker gives it to us again."""
        self.term += 1
        self._held = None
        self._plan.clear()
        self._due = self._more = False

    def _handed(self, envelope: Envelope) -> _Ordered:
        if self._suspect:
            self._suspect -= 1
            maybe = envelope.possible_duplicate or not self._marked
            envelope = replace(envelope, possible_duplicate=maybe, redelivered=True)
        lease = self._open[envelope.delivery] = _Ordered(self, envelope)
        return lease

    async def _read(self) -> None:
        """Plan what comes next.  A store that cannot be read is asked again."""
        due, self._due = self._due, False
        before, term = set(self._open), self.term
        try:
            entries = await self._store.outbox(self._channel, self._lane, after=0, limit=WINDOW)
        except StoreUnavailable:
            self._due |= due
            await asyncio.sleep(STORE_RETRY_SECONDS)
            return
        if term != self.term:
            return
        self._more = len(entries) == WINDOW
        for entry in entries:
            if entry.delivery in self._open:
                continue
            envelope = envelope_of(entry)
            if entry.delivery in before:  # finished, perhaps, while the store was read
                envelope = replace(envelope, redelivered=True)
            self._plan.append(envelope)

    async def _rest(self) -> None:
        """The lane is empty: settle the envelope that said it has work."""
        held = self._held
        if held is None or self._open or self._plan or self._more or self._due:
            return
        self._held = None
        await _settled(held)

    # --- settling -----------------------------------------------------------------------------

    def settle(self, lease: _Ordered) -> None:
        if self._open.get(lease.envelope.delivery) is not lease:
            raise LeaseLost(_LOST)
        del self._open[lease.envelope.delivery]
        if lease.lost:  # readings since the lane came back left it alone: read it again
            self._due = True
        self._changed.set()

    def again(self, envelope: Envelope) -> None:
        self._plan.appendleft(envelope)
        self._changed.set()


class _Ordered:
    """A delivery in the worker's hands; nothing of it is known to the broker."""

    __slots__ = ("_order", "_term", "envelope")

    def __init__(self, order: _Order, envelope: Envelope) -> None:
        self._order = order
        self._term = order.term
        self.envelope = envelope

    @property
    def lost(self) -> bool:
        return self._term != self._order.term or self._order.taken_away

    async def ack(self) -> None:
        self._order.settle(self)

    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None:
        """At once: the worker of an ordered lane waits in place, so that a person can reach it."""
        self._order.settle(self)
        self._order.again(
            replace(
                self.envelope,
                attempt=self.envelope.attempt + 1,
                redelivered=True,
                possible_duplicate=self.envelope.possible_duplicate or possible_duplicate,
            )
        )

    async def park(self, error: ErrorInfo) -> None:
        """The store keeps what is dead."""
        self._order.settle(self)


def envelope_of(entry: OutboxEntry) -> Envelope:
    """Of a delivery that is read from the store.  A mark without an outcome, or an outcome that
    is unknown, makes the worker look again before it sends."""
    return Envelope(
        entry.delivery,
        entry.message_id,
        entry.route,
        entry.target,
        attempt=entry.attempt + 1,
        not_before=entry.next_at,
        possible_duplicate=entry.possible_duplicate,
        redelivered=entry.state.value == "uncertain" or entry.begun > 0,
    )


async def _settled(lease: Lease) -> None:
    with suppress(LeaseLost, BrokerUnavailable):
        await lease.ack()  # else it comes again, and the store says that there is nothing to do


_ENDED = ErrorInfo("BROKER-CLOSED", "the broker ended this consumer", Stage.SENDING)
_LOST = ErrorInfo("BROKER-LEASE-LOST", "this lease is settled already", Stage.SENDING)
