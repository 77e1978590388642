"""What a dead engine had in hand goes on here, where engines share a store and no broker.

Each has its own deliveries in its own broker; those of an engine that died, or that stopped, become
this one's, and the relays read them from the store.  With a shared broker there is nothing to take:
whoever consumes a lane works it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from engine.contract import MessageStore, StoreError

LOOK_SECONDS = 1.0


async def take_over(store: MessageStore, reread: Callable[[], None], log: Any) -> None:
    """Look until cancelled; ``reread`` is called whenever deliveries became this engine's."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            recovered = await store.recover()
        except StoreError as error:
            log.error("not looked for engines that died", code=error.info.code)
            continue
        if recovered.get("taken"):
            log.warning("took over from an engine that is gone", **recovered)
            reread()
