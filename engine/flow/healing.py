"""Finds deliveries that wait in the store while the broker knows nothing of them.

A broker may lose what it confirmed: its queues were deleted, its disk is gone.  A process may die
after its commit and before it announced it.  The store is the outbox, so one of all processes
looks there now and then: a lane whose first deliveries stay the same from one look to the next is
suspicious.

* In an ordered lane one envelope, which says that the lane has work, is announced again.  Whoever
  works the lane reads the store; where one is at work already it learns nothing new.
* Elsewhere each delivery has its envelope, and all that should be in the broker are announced
  again when the broker holds fewer than the store.  What other processes have in hand is not seen
  from here, so some may be announced twice; whoever gets a copy looks into the store first.

Each look at the same lane waits twice as long as the one before: a lane that is only waiting
for its peer costs little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.contract import (
    Broker,
    BrokerError,
    MessageStore,
    OutboxEntry,
    State,
    StoreError,
)
from engine.flow.election import Election
from engine.flow.relay import Lane
from engine.flow.shared import PAGE, SharedRelay

LOOK_SECONDS: Final = 2.0
LONGEST_PATIENCE: Final = 64
"""Looks at an unchanged lane before it is announced again, at most."""

_WAITING: Final = frozenset({State.QUEUED, State.RETRYING, State.UNCERTAIN})


@dataclass(slots=True)
class _Seen:
    sign: tuple[object, ...]
    looks: int = 0
    patience: int = 1


class Healing:
    """`run` is one task of a process; ``relays`` by the name of their channel, as they are now.
    With an ``election``, only one of all processes looks."""

    def __init__(
        self,
        store: MessageStore,
        broker: Broker,
        relays: Mapping[str, SharedRelay],
        log: Any,
        *,
        election: Election | None = None,
    ) -> None:
        self._election = election
        self._store = store
        self._broker = broker
        self._relays = relays
        self._log = log
        self._seen: dict[tuple[str, int], _Seen] = {}

    async def run(self) -> None:
        """Until cancelled.  A store or broker that is away is asked again at the next look."""
        if self._election is None:
            await self._look_on()
        else:
            await self._election.lead(self._look_on)

    async def _look_on(self) -> None:
        self._seen.clear()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except (BrokerError, StoreError) as error:
                self._log.debug("outbox not compared with the broker", code=error.info.code)

    async def _look(self) -> None:
        backlog = await self._store.backlog()
        busy = {each.channel for each in backlog if each.state in _WAITING and each.count}
        for key in [key for key in self._seen if key[0] not in busy]:
            del self._seen[key]
        for name, relay in list(self._relays.items()):
            if name in busy:
                for lane in relay.lanes:
                    await self._look_at(relay, lane)

    async def _look_at(self, relay: SharedRelay, lane: Lane) -> None:
        entries = await self._store.outbox(relay.channel, lane.number, after=0, limit=PAGE)
        due = entries if relay.ordered else self._due(relay, entries)
        key = (relay.channel, lane.number)
        if not due:
            self._seen.pop(key, None)
            return
        first = due[0]
        sign = (first.delivery, first.attempt, first.state, len(due))
        seen = self._seen.get(key)
        if seen is None or seen.sign != sign:
            self._seen[key] = _Seen(sign)
            return
        seen.looks += 1
        if seen.looks < seen.patience:
            return
        seen.looks, seen.patience = 0, min(2 * seen.patience, LONGEST_PATIENCE)
        if not relay.ordered:
            stats = await self._broker.stats(lane.queue)
            if stats.ready + stats.leased + stats.delayed >= len(due):
                return
            self._log.warning("announcing again", channel=relay.channel, count=len(due))
        relay.heal(due)

    @staticmethod
    def _due(relay: SharedRelay, entries: Sequence[OutboxEntry]) -> Sequence[OutboxEntry]:
        """Those that should be in the broker: not what waits for its time or for a person."""
        overdue = datetime.now(UTC) - timedelta(seconds=LOOK_SECONDS)
        return [
            entry
            for entry in entries
            if not (entry.state is State.UNCERTAIN and relay.holds)
            and (entry.next_at is None or entry.next_at < overdue)
        ]
