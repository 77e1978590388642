"""The other engine processes on a store, as the flow knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.contract import StoreError

OUTLIVE_SECONDS = 1.0


class Members(Protocol):
    """The engine processes on a store, this one too.  Raises StoreUnavailable."""

    describe: Callable[[], str]
    """What the others are shown of this process, asked once a second."""

    @property
    def node(self) -> int:
        """The number of this process."""

    async def shown(self) -> Sequence[tuple[int, str, int, int, str]]:
        """Id, name, start and last beat (microseconds), and what it shows, of each that lives."""

    async def outlive(self) -> tuple[int, ...]:
        """Give up those that do not live any more; returns their numbers."""


async def outlive(members: Members, log: Any) -> None:
    """Until cancelled: who stood still, or cannot reach the store, must not go on where others have
    taken its place."""
    while True:
        await asyncio.sleep(OUTLIVE_SECONDS)
        try:
            gone = await members.outlive()
        except StoreError as error:
            log.error("not looked for engines that died", code=error.info.code)
            continue
        if gone:
            log.warning("gave up engine processes that do not answer", nodes=gone)
