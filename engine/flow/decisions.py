"""What persons decide about deliveries while workers have them in hand: replay, cancel.

A decision is taken in the store; this is how the worker that holds or delays the delivery learns of
it, and how it is kept from sending one that is being withdrawn at this moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from engine.contract import DeliveryId


class Decisions:
    """One event loop only."""

    __slots__ = ("_hurried", "_taking", "_waiting")

    def __init__(self) -> None:
        self._hurried: set[DeliveryId] = set()
        self._taking: dict[DeliveryId, asyncio.Event] = {}
        self._waiting: dict[DeliveryId, asyncio.Event] = {}

    @asynccontextmanager
    async def taking(self, delivery: DeliveryId) -> AsyncIterator[None]:
        """Around the store's change.  On exit, whoever waits for this delivery looks again."""
        taken = self._taking[delivery] = asyncio.Event()
        try:
            yield
        finally:
            taken.set()
            del self._taking[delivery]
            self.wake(delivery)

    def wake(self, delivery: DeliveryId) -> bool:
        """End the wait of the worker that has this delivery; False when none waits."""
        waiting = self._waiting.get(delivery)
        if waiting is None:
            return False
        waiting.set()
        return True

    def hurry(self, delivery: DeliveryId) -> None:
        """End the wait of the worker that has this delivery, or its next one before it begins."""
        if not self.wake(delivery):
            self._hurried.add(delivery)

    def forget(self, delivery: DeliveryId) -> None:
        """It is out of the workers' hands."""
        self._hurried.discard(delivery)

    def pending(self, delivery: DeliveryId) -> bool:
        """Whether a decision is being taken at this moment."""
        return delivery in self._taking

    async def taken(self, delivery: DeliveryId) -> None:
        """Return when no decision about this delivery is under way."""
        while (taking := self._taking.get(delivery)) is not None:
            await taking.wait()

    async def wait(self, delivery: DeliveryId, longest: timedelta | None) -> bool:
        """True when a decision came, False after ``longest`` (None: wait for ever)."""
        if delivery in self._hurried:
            self._hurried.discard(delivery)
            return True
        decided = self._waiting[delivery] = asyncio.Event()
        try:
            async with asyncio.timeout(None if longest is None else longest.total_seconds()):
                await decided.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            del self._waiting[delivery]
