"""Keeps to a rate by waiting: the channel's ``limits.rate`` slows senders, it refuses nothing."""

from __future__ import annotations

import asyncio

_BURST = 0.1
"""Seconds' worth of messages that may come at once after a pause."""


class Pace:
    """Turns at ``rate`` a second, handed out in order of the calls.  One event loop only."""

    __slots__ = ("_free_at", "_step")

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._free_at = 0.0

    async def turn(self) -> None:
        """Return when the next turn has come.  A cancelled wait uses its turn up."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - _BURST) + self._step
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
