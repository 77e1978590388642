"""Keeps a source to its channel's ``limits.rate`` by waiting: senders are slowed, none is refused.

Shared by the sources; no connector itself.
"""

from __future__ import annotations

import asyncio
from typing import Final

_CREDIT: Final = 0.1  # seconds' worth of messages that may come at once after a pause


class Pace:
    """Turns at ``rate`` a second (None: always at once), in the order of the calls."""

    __slots__ = ("_gap", "_next")

    def __init__(self, rate: float | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Returns when the next message may be offered.  A cancelled wait uses its turn up."""
        if not self._gap:
            return
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - _CREDIT) + self._gap
        if self._next > now:
            await asyncio.sleep(self._next - now)
