"""This engine among the others on a shared store: its beat, and the leases it holds.

A thread of its own asks the database, so that no slow read delays a beat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

from engine.store import failures
from engine.store.database import Database, NodeRow, Nodes

T = TypeVar("T")

BEAT_SECONDS: Final = 1.0
SURE_SECONDS: Final = 3.5
"""So long after a beat nobody can have given this engine up: less than its lease."""


class Membership:
    """``open`` and ``close`` on the event loop; the methods raise StoreUnavailable."""

    def __init__(self, database: Database, nodes: Nodes) -> None:
        self.given_up = asyncio.Event()
        """Set when the others took over what this engine had in hand: it can only end."""
        self._database = database
        self._nodes = nodes
        self.describe: Callable[[], str] = str
        """What the others are shown of this process, asked at each beat on the event loop."""
        self._pool: ThreadPoolExecutor | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._beat_at = 0.0

    def open(self, told: Callable[[str | None], None]) -> None:
        """After `Nodes.begin`.  ``told``: what the others say, as `Nodes.listen`."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="carebus-store-node")
        self._beat_at = time.monotonic()
        self._tasks = (
            asyncio.create_task(self._beat(), name="store-beat"),
            asyncio.create_task(self._nodes.listen(told), name="store-notices"),
        )

    async def close(self, *, clean: bool) -> None:
        """``clean``: nothing that this engine had in hand may have been sent unrecorded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = ()
        if self._pool is not None:
            with suppress(*self._database.errors):
                await asyncio.get_running_loop().run_in_executor(self._pool, self._nodes.end, clean)
            self._pool.shutdown()
            self._pool = None

    @property
    def node(self) -> int:
        return self._nodes.node

    @property
    def sure(self) -> bool:
        """Nobody else can have taken over what this engine has in hand."""
        return time.monotonic() - self._beat_at < SURE_SECONDS and not self.given_up.is_set()

    async def outlive(self) -> tuple[int, ...]:
        return await self._call(self._nodes.outlive)

    async def shown(self) -> Sequence[NodeRow]:
        return await self._call(self._nodes.shown)

    async def bury(self) -> tuple[int, ...]:
        return await self._call(self._nodes.bury)

    async def stopped(self) -> tuple[int, ...]:
        return await self._call(self._nodes.stopped)

    async def living(self) -> Mapping[int, str]:
        return await self._call(self._nodes.living)

    async def acquire(self, name: str, owner: str, term: timedelta) -> int | None:
        """The epoch of the named lease, higher than any before; None while another owner holds
        it.  Whoever holds it gets its own epoch again."""
        return await self._call(lambda: self._nodes.acquire(name, owner, term.total_seconds()))

    async def renew(self, name: str, owner: str, epoch: int, term: timedelta) -> bool:
        """Whether it is still this owner's of this epoch, now for another ``term``."""
        return await self._call(lambda: self._nodes.renew(name, owner, epoch, term.total_seconds()))

    async def release(self, name: str, owner: str, epoch: int) -> None:
        """Nothing when it is another's by now."""
        await self._call(lambda: self._nodes.release(name, owner, epoch))

    async def _call(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            raise failures.closed()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except self._database.errors as error:
            raise self._database.translate(error) from None

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        shown = ""
        while True:
            status, asked = self.describe(), time.monotonic()
            # While the database is away nobody can give us up.
            with suppress(*self._database.errors):
                if not await loop.run_in_executor(self._pool, self._nodes.beat):
                    self.given_up.set()
                    return
                self._beat_at = asked
                if status != shown:
                    await loop.run_in_executor(self._pool, self._nodes.show, status)
                    shown = status
            await asyncio.sleep(BEAT_SECONDS)
