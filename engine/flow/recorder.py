"""Recording outcomes in batches while the lanes go on.

A lane that got its "yes" hands the outcome over and takes its next delivery; the lease is settled
when the outcome is durable.  How far lanes may run ahead is bounded by their prefetch: with the
store unable to write, they stop, and nothing is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from engine.contract import (
    Event,
    IllegalTransition,
    Lease,
    LeaseLost,
    MessageStore,
    StoreError,
    StoreUnavailable,
)
from engine.flow.relay import Lane

STORE_RETRY_SECONDS = 0.5

Settled = Callable[[Event, Lane], None]


class Recorder:
    """One for each outbound channel; `run` is its task.  One event loop."""

    def __init__(self, store: MessageStore, settled: Settled, log: Any) -> None:
        self._store = store
        self._settled = settled
        self._log = log
        self._pending: list[tuple[Event, Lease, Lane]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, event: Event, lease: Lease, lane: Lane) -> None:
        """Record this final outcome soon, then settle its lease.  Never waits."""
        self._pending.append((event, lease, lane))
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Return when everything added so far is durable."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled; what is being written then still goes to the store."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._pending:
                    batch, self._pending = self._pending, []
                    await self._record(batch)
                self._idle.set()
        finally:
            self._idle.set()  # whoever waits for a recorder that ended waits for nothing

    async def _record(self, batch: list[tuple[Event, Lease, Lane]]) -> None:
        while batch:
            answers = await self._store.record_all([event for event, _, _ in batch])
            again = []
            for (event, lease, lane), error in zip(batch, answers, strict=True):
                if error is None or isinstance(error, IllegalTransition):
                    if error is not None:
                        # A person finished it another way meanwhile; the store keeps that.
                        self._log.error("outcome refused by the store", code=error.info.code)
                    with suppress(LeaseLost):  # its worker was stopped; the store knows the end
                        await lease.ack()
                    self._settled(event, lane)
                elif not is_refused(error):
                    again.append((event, lease, lane))
                elif event.sent is not None or event.reply is not None:
                    # The outcome matters more than what was exchanged.
                    self._log.error("content refused by the store", code=error.info.code)
                    again.append((replace(event, sent=None, reply=None), lease, lane))
                else:
                    # Still unfinished there: it goes again, marked, after the next start.
                    self._log.critical("outcome not storable", code=error.info.code)
            batch = again
            if batch:
                await asyncio.sleep(STORE_RETRY_SECONDS)


def is_refused(error: StoreError) -> bool:
    """Whether asking again would only bring the same answer."""
    return not isinstance(error, StoreUnavailable) or error.info.code in _REFUSALS


_REFUSALS = frozenset({"STORE-CONSTRAINT", "STORE-FENCED", "STORE-REFUSED"})


async def durable(record: Callable[[], Awaitable[None]], log: Any) -> bool:
    """Record one step now, asking again while the store cannot write.

    False when the store refuses the step: a person moved the delivery meanwhile, or it cannot be
    stored at all.
    """
    while True:
        try:
            await record()
        except StoreError as error:
            if is_refused(error):
                log.error("outcome refused by the store", code=error.info.code)
                return False
            log.error("outcome not recorded yet", code=error.info.code)
            await asyncio.sleep(STORE_RETRY_SECONDS)
        else:
            return True
