"""One outbound channel at work: its destination kept open, its relay, its lanes, its recorder.

All of its tasks live in one task group, so that stopping the channel stops all of them and a defect
in one is not survived by the others as a half-working channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from engine.config.model import Channel
from engine.contract import (
    ChannelName,
    DeliveryId,
    Destination,
    Event,
    MessageStore,
    OutboxEntry,
    Stage,
    State,
)
from engine.flow.cache import MessageCache
from engine.flow.counts import OutboundCounts
from engine.flow.decisions import Decisions
from engine.flow.dispatch import Bound, Lanes, Worker
from engine.flow.recorder import Recorder, durable
from engine.flow.relay import Lane, Relay
from engine.flow.supervision import Connection, Health
from engine.flow.validating import Validating

OUTCOMES_GRACE = timedelta(seconds=10)
"""How long a stop waits for a store that cannot write."""

MOST_DECIDED = 10_000
"""Decisions taken in other processes that are remembered until their deliveries come by."""

Finished = Callable[[Event], None]
"""Told of every delivery that came to an end or to a halt (SENT, DEAD, UNCERTAIN)."""


class OutboundChannel:
    """Built for one version of a channel file; a changed file gets a new one."""

    def __init__(
        self,
        channel: Channel,
        destination: Destination,
        *,
        store: MessageStore,
        relay: Relay,
        cache: MessageCache,
        counts: OutboundCounts,
        bind: Callable[[str, str, str], Bound | None],
        finished: Finished,
        look_again: timedelta | None,
        log: Any,
    ) -> None:
        self.channel = channel
        self.health = Health()
        self.counts = counts
        self.relay = relay
        self.connection = Connection(
            destination, self.health, log, on_demand=look_again is not None
        )
        self.decisions = Decisions()
        self._finished = finished
        self._recorder = Recorder(store, self._settled, log)
        given = channel.validation
        self._lanes = Lanes(
            channel=channel,
            destination=destination,
            connection=self.connection,
            store=store,
            relay=relay,
            recorder=self._recorder,
            decisions=self.decisions,
            cache=cache,
            counts=counts,
            bind=bind,
            ended=finished,
            log=log,
            look_again=look_again,
            validating=None if given is None else Validating(channel, given, Stage.MAPPING),
        )

    async def run(self) -> None:
        """Work until cancelled; then outcomes that are known become durable before it returns."""
        lanes = self._lanes
        await lanes.store.relane(ChannelName(self.channel.name), len(self.relay.lanes))
        await self.relay.begin()
        ordering = self.channel.ordering
        workers = ordering.concurrency if ordering.kind == "none" else 1
        async with asyncio.TaskGroup() as outer:
            # The recorder outlives the workers: what they learnt becomes durable.
            recording = outer.create_task(self._recorder.run())
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.connection.run())
                    tasks.create_task(self.relay.run())
                    for lane in self.relay.lanes:
                        for _ in range(workers):
                            tasks.create_task(Worker(lanes, lane).run())
            finally:
                try:
                    async with asyncio.timeout(OUTCOMES_GRACE.total_seconds()):
                        await self._recorder.drained()
                        while lanes.cut:
                            await durable(partial(lanes.store.record, lanes.cut.pop()), lanes.log)
                except TimeoutError:
                    lanes.log.error("outcomes not recorded: they go again after the next start")
                    lanes.store.disown()
                finally:
                    recording.cancel()

    @property
    def blocked(self) -> bool:
        return bool(self._lanes.held)

    async def quiesce(self, grace: timedelta) -> None:
        """Begin no more sends; return when those under way ended and their outcomes are durable,
        or after ``grace``.  Whoever gets a lane next must find them in the store."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await self.connection.quiesce(grace)
                await self._recorder.drained()

    def is_sending(self, delivery: DeliveryId) -> bool:
        return delivery in self._lanes.sending

    def decided(self, delivery: DeliveryId, entry: OutboxEntry | None) -> None:
        """A person moved this delivery; ``entry`` is what is still to be sent, if anything."""
        self._lanes.decided.add(delivery)
        if entry is not None:
            self.relay.rewind(entry)

    def decided_elsewhere(self, delivery: DeliveryId | None) -> None:
        """As `decided`, about a delivery that may be in the hands of a worker here, or be planned
        for one; None: about any of them."""
        lanes = self._lanes
        those = set(lanes.in_hand) if delivery is None else {delivery}
        if len(lanes.decided) > MOST_DECIDED:  # of most of them nothing is here
            lanes.decided &= lanes.in_hand
        lanes.decided |= those
        for each in those & lanes.in_hand:
            self.decisions.hurry(each)

    def _settled(self, event: Event, lane: Lane) -> None:
        self._lanes.sending.discard(event.delivery)
        self.relay.finished(lane, event.delivery)
        if event.state is State.SENT:
            self.counts.sent += 1
        self._finished(event)
