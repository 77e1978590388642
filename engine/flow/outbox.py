"""The outbox relay of one outbound channel: from the store to the broker, in order.

The store's unfinished deliveries ARE the outbox.  For each lane the relay keeps a window of them in
the broker.  While a lane keeps up, a new delivery goes from the commit straight into the window;
once the window is full the lane is *behind*, new deliveries stay in the store, and the relay reads
them from there, in order, as the window empties.  Memory is the same for ten waiting and ten
million.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from engine.contract import (
    Broker,
    BrokerUnavailable,
    ChannelName,
    DeliveryId,
    Envelope,
    Lease,
    MessageStore,
    NewDelivery,
    NewMessage,
    OutboxEntry,
    QueueSpec,
    State,
    StoreUnavailable,
)
from engine.flow.relay import Lane, lane_queue

WINDOW = 1000
"""Envelopes of one channel in the broker at most, shared evenly by its lanes."""
LANE_MINIMUM = 16
STORE_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class WindowedLane(Lane):
    """One queue of the broker and what the relay knows of it.

    ``cursor``: every unfinished delivery up to this id is in the window.  ``highest``: the highest
    id that ever was.  ``behind``: some deliveries are only in the store.  ``fresh``: committed, in
    the window, not yet published.  ``arriving``: committed while the store is being read; None
    when nothing is being read, or more came than fits.  ``rewound``: a person put a delivery back
    since the last reading began, so what that reading saw may lack it.
    """

    window: int
    behind: bool = True  # until the first reading says otherwise
    cursor: int = 0
    highest: int = 0
    inside: set[DeliveryId] = field(default_factory=set)
    fresh: list[Envelope] = field(default_factory=list)
    arriving: list[Envelope] | None = None
    rewound: bool = False


class OutboxRelay:
    """Runs as one task (`run`); `committed` and `finished` are called on the same event loop."""

    def __init__(
        self,
        channel: ChannelName,
        store: MessageStore,
        broker: Broker,
        *,
        lanes: int,
        ordered: bool,
        holds: bool = True,
    ) -> None:
        window = max(LANE_MINIMUM, WINDOW // lanes)
        self.lanes = tuple(
            WindowedLane(number, lane_queue(channel, number, lanes), window)
            for number in range(lanes)
        )
        self._channel = channel
        self._store = store
        self._broker = broker
        self._ordered = ordered
        self._holds = holds  # an unknown outcome waits for a person
        self._wake = asyncio.Event()
        self._astray = False  # some deliveries in the store have a lane of another number of lanes

    def queues(self) -> Sequence[QueueSpec]:
        # Twice the window: a person's replay may put earlier deliveries in beside a full one.
        return [
            QueueSpec(lane.queue, ordered=self._ordered, capacity=2 * lane.window)
            for lane in self.lanes
        ]

    def committed(self, new: NewMessage, wanted: NewDelivery, delivery: DeliveryId) -> None:
        """A delivery of this channel became durable.  Called in order of ids; never waits."""
        lane = self.lanes[wanted.key_hash % len(self.lanes)]
        if wanted.lane != lane.number:  # its lane was given before a reload changed their number
            self._lead_back(lane, delivery)
            return
        if delivery <= lane.highest:
            return  # the store was read after this commit and before this call
        envelope = Envelope(delivery, new.message.id, wanted.route, wanted.target)
        if not lane.behind and len(lane.inside) < lane.window:
            lane.inside.add(delivery)
            lane.cursor = lane.highest = delivery
            lane.fresh.append(envelope)
            self._wake.set()
            return
        lane.behind = True
        if lane.arriving is not None:
            lane.arriving.append(envelope)
            if len(lane.arriving) > lane.window // 2:
                lane.arriving = None

    def leases(
        self, lane: Lane, *, prefetch: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Lease]]:
        return self._broker.consume(lane.queue, prefetch=prefetch)

    def finished(self, lane: Lane, delivery: DeliveryId) -> None:
        """A worker is done with this delivery (sent, dead, cancelled, or held outside a lane)."""
        window = self.lanes[lane.number]
        window.inside.discard(delivery)
        if window.behind and len(window.inside) <= window.window // 2:
            self._wake.set()

    def rewind(self, entry: OutboxEntry) -> None:
        """A person put this delivery back: read it again from the store."""
        lane = self.lanes[entry.key_hash % len(self.lanes)]
        if entry.lane != lane.number:  # it was finished when the number of lanes was changed
            self._lead_back(lane, entry.delivery)
        else:
            self._read_from(lane, entry.delivery)

    def reread(self) -> None:
        """Deliveries were put in from elsewhere: read all lanes again."""
        for lane in self.lanes:
            self._read_from(lane, DeliveryId(1))

    def _lead_back(self, lane: WindowedLane, delivery: DeliveryId) -> None:
        self._astray = True
        self._read_from(lane, delivery)

    def _read_from(self, lane: WindowedLane, delivery: DeliveryId) -> None:
        lane.cursor = min(lane.cursor, delivery - 1)
        lane.behind = lane.rewound = True
        self._wake.set()

    async def begin(self) -> None:
        """Before any worker starts: forget the windows of an earlier life.  What is in them is in
        the store too, and would be sent a second time."""
        await self._broker.declare(self.queues())
        for lane in self.lanes:
            await self._broker.purge(lane.queue)
            lane.behind, lane.cursor, lane.arriving = True, 0, None
            lane.inside.clear()
            lane.fresh.clear()

    async def run(self) -> None:
        """Keep every lane's window filled until cancelled.  A store that cannot be read is asked
        again; nothing is lost meanwhile, since the store is the outbox."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                for lane in self.lanes:
                    await self._fill(lane)
            except (StoreUnavailable, BrokerUnavailable):
                await asyncio.sleep(STORE_RETRY_SECONDS)
                self._wake.set()

    async def _fill(self, lane: WindowedLane) -> None:
        if lane.fresh:
            fresh, lane.fresh = lane.fresh, []
            try:
                await self._broker.publish(lane.queue, fresh)
            except BrokerUnavailable:
                for envelope in fresh:
                    lane.inside.discard(envelope.delivery)
                lane.cursor = min(lane.cursor, fresh[0].delivery - 1)
                lane.behind = True
                raise
        while lane.behind and len(lane.inside) <= lane.window // 2:
            await self._read(lane)

    async def _read(self, lane: WindowedLane) -> None:
        """Fill the window from the store; catch up with what commits meanwhile where it fits."""
        while self._astray:
            self._astray = False
            try:
                await self._store.relane(self._channel, len(self.lanes))
            except StoreUnavailable:
                self._astray = True
                raise
        start = lane.cursor
        limit = lane.window - len(lane.inside)
        lane.arriving, lane.rewound = [], False
        entries = await self._store.outbox(
            self._channel, lane.number, after=start, limit=limit, mine=True
        )
        arriving, lane.arriving = lane.arriving, None
        if lane.rewound:
            return
        envelopes = []
        for entry in entries:
            if entry.delivery in lane.inside:
                continue
            if entry.key_hash % len(self.lanes) != lane.number:
                continue  # astray: it is about to be led back to its own lane
            if entry.state is State.UNCERTAIN and self._holds and not self._ordered:
                continue  # nothing waits behind it, so it needs no worker until a person decides
            # What was in the window before may have been finished while the store was read.
            envelopes.append(_envelope(entry, look_again=entry.delivery <= lane.highest))
        last = entries[-1].delivery if entries else start
        caught_up = len(entries) < limit and arriving is not None
        if caught_up:
            envelopes += [envelope for envelope in arriving or () if envelope.delivery > last]
        if envelopes:
            await self._broker.publish(lane.queue, envelopes)
            lane.inside.update(envelope.delivery for envelope in envelopes)
        lane.cursor = max(last, envelopes[-1].delivery if envelopes else last)
        lane.highest = max(lane.highest, lane.cursor)
        lane.behind = not caught_up


def _envelope(entry: OutboxEntry, *, look_again: bool) -> Envelope:
    return Envelope(
        entry.delivery,
        entry.message_id,
        entry.route,
        entry.target,
        attempt=entry.attempt + 1,
        not_before=entry.next_at,
        possible_duplicate=entry.possible_duplicate,
        redelivered=look_again or entry.state is State.UNCERTAIN,
    )
