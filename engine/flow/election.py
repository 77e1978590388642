"""A job that only one of all engine processes may do: it is done by who holds its lease.

The lease lives in the store and runs out by the store's clock.  Its holder renews it, and stops
working before it can have run out: each renewal counts from when it was asked for, by a clock of
this process that nobody sets back.  A process that dies is therefore followed within `TERM` and one
`POLL`; one that is only cut off stops by itself before that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Protocol

from engine.contract import StoreError

TERM: Final = timedelta(seconds=4)
POLL: Final = timedelta(seconds=1)
MARGIN: Final = timedelta(seconds=1)
"""How long before its term ends a holder stops; stopping may take as long."""


class Leases(Protocol):
    """Named leases.  Times are the store's."""

    async def acquire(self, name: str, owner: str, term: timedelta) -> int | None:
        """The lease's epoch, higher than any before; None while another owner holds it.

        Raises StoreUnavailable."""

    async def renew(self, name: str, owner: str, epoch: int, term: timedelta) -> bool:
        """Whether it is still this owner's of this epoch, now for another ``term``.

        Raises StoreUnavailable."""

    async def release(self, name: str, owner: str, epoch: int) -> None:
        """Nothing when it is another's by now.  Raises StoreUnavailable."""


class Election:
    """For one job.  `lead` is one task."""

    def __init__(
        self,
        leases: Leases,
        name: str,
        owner: str,
        log: Any,
        *,
        term: timedelta = TERM,
        poll: timedelta = POLL,
        margin: timedelta = MARGIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._name = name
        self._owner = owner
        self._log = log
        self._term = term
        self._poll = poll.total_seconds()
        self._safe = (term - margin).total_seconds()
        self._clock = clock

    async def lead(
        self, work: Callable[[], Awaitable[None]], standby: Callable[[], None] = lambda: None
    ) -> None:
        """Run ``work`` whenever this process holds the lease, until it returns by itself.

        It is cancelled, and waited for, when the lease is lost.  ``standby`` is called whenever
        another process turns out to hold it.  Cancelling ends the work first, then the lease.
        """
        while True:
            asked = self._clock()
            epoch = await self._acquired()
            if epoch is None:
                standby()
                await asyncio.sleep(self._poll)
                continue
            self._log.info("elected", job=self._name, epoch=epoch)
            working = asyncio.ensure_future(work())
            try:
                if await self._kept(working, epoch, asked):
                    return
                self._log.warning("no longer elected", job=self._name, epoch=epoch)
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(working, return_exceptions=True)
                await self._released(epoch)

    async def _acquired(self) -> int | None:
        try:
            return await self._leases.acquire(self._name, self._owner, self._term)
        except StoreError as error:
            self._log.error("lease not asked for", job=self._name, code=error.info.code)
            return None

    async def _kept(self, working: asyncio.Future[None], epoch: int, renewed: float) -> bool:
        """True when the work ended; False when the lease may run out soon, or is another's."""
        while True:
            await asyncio.wait([working], timeout=self._poll)
            if working.done():
                working.result()
                return True
            asked = self._clock()
            try:
                async with asyncio.timeout(max(0.0, renewed + self._safe - asked)):
                    if not await self._leases.renew(self._name, self._owner, epoch, self._term):
                        return False
                renewed = asked
            except (StoreError, TimeoutError):
                if self._clock() - renewed >= self._safe:
                    return False

    async def _released(self, epoch: int) -> None:
        with suppress(StoreError):  # it runs out by itself
            await self._leases.release(self._name, self._owner, epoch)
