"""The relay of one outbound channel whose store and broker several processes share.

Every process that accepts messages announces its own commits to the channel's queues; whichever
process consumes a queue works it.  No process keeps a window: what is not announced, because the
broker was away or the process died in between, is still in the store.

In an ordered lane one envelope is enough for many commits (`engine.flow.sequence`), so only the
newest of each batch is published.  In a lane without order each delivery has its envelope.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from engine.contract import (
    Broker,
    BrokerError,
    ChannelName,
    DeliveryId,
    Envelope,
    ErrorInfo,
    Lease,
    MessageStore,
    NewDelivery,
    NewMessage,
    OutboxEntry,
    QueueSpec,
    StoreError,
)
from engine.flow.relay import Lane, lane_queue
from engine.flow.sequence import envelope_of, in_order

CAPACITY: Final = 100_000
"""Envelopes of one queue; what does not fit stays in the store and is announced later."""
UNANNOUNCED: Final = 2_000
"""Envelopes of one lane kept in memory while the broker is away; then they are read again."""
PAGE: Final = 500
RETRY_SECONDS: Final = 1.0


@dataclass(slots=True)
class SharedLane(Lane):
    """``fresh``: committed here, not announced yet.  ``behind``: from this delivery on, what this
    process committed may not have been announced; None when all was."""

    fresh: list[Envelope] = field(default_factory=list)
    behind: int | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class SharedRelay:
    """`announce` is one task, also where no worker of this channel runs."""

    def __init__(
        self,
        channel: ChannelName,
        store: MessageStore,
        broker: Broker,
        log: Any,
        *,
        lanes: int,
        ordered: bool,
        holds: bool,
    ) -> None:
        self.lanes = tuple(
            SharedLane(number, lane_queue(channel, number, lanes)) for number in range(lanes)
        )
        self.channel = self._channel = channel
        self.ordered = self._ordered = ordered
        self.holds = self._holds = holds  # an unknown outcome waits for a person
        self._store = store
        self._broker = broker
        self._log = log
        self._declared = asyncio.Event()
        self._astray = False

    def queues(self) -> Sequence[QueueSpec]:
        return [
            QueueSpec(lane.queue, ordered=self._ordered, capacity=CAPACITY) for lane in self.lanes
        ]

    # --- what is to be announced ----------------------------------------------------------------

    def committed(self, new: NewMessage, wanted: NewDelivery, delivery: DeliveryId) -> None:
        """A delivery of this channel became durable, by this process.  Never waits."""
        lane = self.lanes[wanted.key_hash % len(self.lanes)]
        self._astray |= wanted.lane != lane.number
        self._announce(lane, Envelope(delivery, new.message.id, wanted.route, wanted.target))

    def rewind(self, entry: OutboxEntry) -> None:
        lane = self.lanes[entry.key_hash % len(self.lanes)]
        self._astray |= entry.lane != lane.number
        self._announce(lane, envelope_of(entry))

    def heal(self, entries: Iterable[OutboxEntry]) -> None:
        """These wait in the store, and nothing says that the broker knows (`flow.healing`)."""
        for entry in entries:
            lane = self.lanes[entry.key_hash % len(self.lanes)]
            if self._ordered:  # it says only that the lane has work
                self._announce(lane, envelope_of(entry))
                return
            self._announce(lane, replace(envelope_of(entry), redelivered=True))

    def finished(self, lane: Lane, delivery: DeliveryId) -> None:
        """Nothing to do: no window is kept."""

    def _announce(self, lane: SharedLane, envelope: Envelope) -> None:
        if self._ordered:
            # The lane is read from there on.  Another process's later ids may be read already, so
            # the first one that was not announced is the one to name.
            if not lane.fresh or envelope.delivery < lane.fresh[0].delivery:
                lane.fresh[:] = [envelope]
        else:
            lane.fresh.append(envelope)
            if len(lane.fresh) > UNANNOUNCED:
                self._fall_behind(lane, lane.fresh)
                lane.fresh = []
        lane.wake.set()

    def _fall_behind(self, lane: SharedLane, envelopes: Sequence[Envelope]) -> None:
        first = min(int(envelope.delivery) for envelope in envelopes)
        lane.behind = first if lane.behind is None else min(lane.behind, first)

    async def run(self) -> None:
        """Nothing to do: `announce` runs as long as the channel is configured."""

    # --- announcing -----------------------------------------------------------------------------

    async def begin(self) -> None:
        """Return when the queues exist.  What is in them stays: it is other processes' too."""
        await self._declared.wait()

    async def announce(self) -> None:
        """Declare the queues and announce until cancelled.  A broker that is away is asked again
        after `RETRY_SECONDS`; nothing is lost meanwhile, since the store is the outbox.  Lanes do
        not wait for each other: one queue may be ill while the others are well."""
        await self._prepared()
        async with asyncio.TaskGroup() as tasks:
            for lane in self.lanes:
                tasks.create_task(self._announced(lane), name=f"announce {lane.queue}")

    async def _prepared(self) -> None:
        while not self._declared.is_set():
            try:
                await self._broker.declare(self.queues())
            except BrokerError as error:
                self._log.warning("queues wait to be declared", code=error.info.code)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._declared.set()

    async def _announced(self, lane: SharedLane) -> None:
        failing = False
        lane.wake.set()
        while True:
            await lane.wake.wait()
            lane.wake.clear()
            try:
                if self._astray:
                    self._astray = False
                    await self._relaned()
                await self._publish(lane)
                failing = False
            except (BrokerError, StoreError) as error:
                if not failing:
                    self._log.warning(
                        "deliveries wait to be announced", queue=lane.queue, code=error.info.code
                    )
                failing = True
                await asyncio.sleep(RETRY_SECONDS)
                lane.wake.set()

    async def _relaned(self) -> None:
        try:
            await self._store.relane(self._channel, len(self.lanes))
        except StoreError:
            self._astray = True
            raise

    async def _publish(self, lane: SharedLane) -> None:
        if lane.fresh:
            fresh, lane.fresh = lane.fresh, []
            try:
                await self._broker.publish(lane.queue, fresh)
            except (BrokerError, asyncio.CancelledError):
                if self._ordered:
                    lane.fresh = min(lane.fresh, fresh, key=_first) if lane.fresh else fresh
                else:
                    self._fall_behind(lane, fresh)
                raise
        while lane.behind is not None:
            await self._catch_up(lane, lane.behind)

    async def _catch_up(self, lane: SharedLane, first: int) -> None:
        """Announce one page of what is in the store.  Some of it may be known to the broker; its
        worker looks before it sends."""
        entries = await self._store.outbox(self._channel, lane.number, after=first - 1, limit=PAGE)
        if entries:
            await self._broker.publish(
                lane.queue, [replace(envelope_of(entry), redelivered=True) for entry in entries]
            )
        if lane.behind == first:  # nothing earlier failed meanwhile
            lane.behind = int(entries[-1].delivery) + 1 if len(entries) == PAGE else None

    # --- working --------------------------------------------------------------------------------

    def leases(
        self, lane: Lane, *, prefetch: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Lease]]:
        """See `Relay.leases`.  Several processes may enter this for the same lane."""
        consumer = self._broker.consume(lane.queue, prefetch=prefetch)
        if not self._ordered:
            return _by_any(consumer, marked=self._holds)

        async def announce(envelope: Envelope) -> None:
            await self._broker.publish(lane.queue, [envelope])

        return in_order(
            consumer,
            self._store,
            self._channel,
            lane.number,
            announce=announce,
            marked=self._holds,
            prefetch=prefetch,
        )


def _first(envelopes: Sequence[Envelope]) -> int:
    return int(envelopes[0].delivery)


@asynccontextmanager
async def _by_any(
    consumer: AbstractAsyncContextManager[AsyncIterator[Lease]], *, marked: bool
) -> AsyncIterator[AsyncIterator[Lease]]:
    """Leases of a lane without order.  What another process had in its hands may have been sent."""
    async with consumer as leases:
        yield _suspecting(leases, marked=marked)


async def _suspecting(leases: AsyncIterator[Lease], *, marked: bool) -> AsyncIterator[Lease]:
    async for lease in leases:
        yield _Suspect(lease) if lease.envelope.redelivered and not marked else lease


class _Suspect:
    """A lease whose envelope was in other hands before."""

    __slots__ = ("_lease", "envelope")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.envelope = replace(lease.envelope, possible_duplicate=True)

    @property
    def lost(self) -> bool:
        return self._lease.lost

    async def ack(self) -> None:
        await self._lease.ack()

    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None:
        await self._lease.retry(after, possible_duplicate=True)

    async def park(self, error: ErrorInfo) -> None:
        await self._lease.park(error)
