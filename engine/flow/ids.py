"""Message ids: UUIDv7 (RFC 9562 5.7), sortable by time, strictly increasing within a process.

A message needs one id on the hot path, so the random part is drawn from the system and written out
in blocks, and the time's text is kept for as long as the millisecond lasts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from engine.contract import MessageId

_BLOCK = 256
_VARIANT = "89ab"  # the two bits 10 before two random ones


class MessageIds:
    """A source of ids.  One event loop at a time; ``clock`` gives milliseconds since 1970."""

    __slots__ = ("_clock", "_millisecond", "_prefix", "_sequence", "_tails")

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._millisecond = -1
        self._prefix = ""
        self._sequence = 0
        self._tails: list[str] = []

    def next(self) -> MessageId:
        """A new id.  A clock that stands still or steps back does not break the order: the
        12 bits beside the time count on, and carry into it when they are used up."""
        now = self._clock()
        if now > self._millisecond:
            self._begin(now)
        elif self._sequence == 4095:
            self._begin(self._millisecond + 1)
        else:
            self._sequence += 1
        if not self._tails:
            self._tails = _random_tails()
        return MessageId(f"{self._prefix}{self._sequence:03x}-{self._tails.pop()}")

    def _begin(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._sequence = 0
        text = f"{millisecond:012x}"
        self._prefix = f"{text[:8]}-{text[8:]}-7"


def _random_tails() -> list[str]:
    """The last two groups of `_BLOCK` ids: the variant and 62 random bits each."""
    digits = os.urandom(8 * _BLOCK).hex()
    return [
        f"{_VARIANT[int(digits[at], 16) & 3]}{digits[at + 1 : at + 4]}-{digits[at + 4 : at + 16]}"
        for at in range(0, 16 * _BLOCK, 16)
    ]
