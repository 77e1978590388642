"""Message ids: UUIDv7 (RFC 9562 5.7), sortable by time, strictly increasing within a process.

A message needs one id on the hot path, so the random part is drawn from the system in blocks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from engine.contract import MessageId

_BLOCK = 8 * 512
_VARIANT = 0b10 << 62
_VERSION = 7 << 12


class MessageIds:
    """A source of ids.  One event loop at a time; ``clock`` gives milliseconds since 1970."""

    __slots__ = ("_clock", "_millisecond", "_offset", "_random", "_sequence")

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._clock = clock
        self._millisecond = 0
        self._sequence = 0
        self._random = b""
        self._offset = _BLOCK

    def next(self) -> MessageId:
        """A new id.  A clock that stands still or steps back does not break the order: the
        12 bits beside the time count on, and carry into it when they are used up."""
        now = self._clock()
        if now > self._millisecond:
            self._millisecond = now
            self._sequence = 0
        else:
            self._sequence += 1
            if self._sequence == 4096:
                self._millisecond += 1
                self._sequence = 0
        offset = self._offset
        if offset >= _BLOCK:
            self._random = os.urandom(_BLOCK)
            offset = 0
        self._offset = offset + 8
        low = int.from_bytes(self._random[offset : offset + 8], "big") >> 2 | _VARIANT
        high = self._millisecond << 16 | _VERSION | self._sequence
        text = f"{high:016x}{low:016x}"
        return MessageId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
