"""Messages that were just accepted, kept in memory until their workers are done with them.

A cache only: what is not here is loaded from the store.  Bounded in bytes, so that a backlog of any
length costs the same memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from engine.contract import Document, Message, MessageId

CACHE_BYTES = 16 * 1024 * 1024
_OVERHEAD = 4096
"""What a message of no length costs with its parsed document, in bytes, rounded up."""


@dataclass(slots=True)
class Cached:
    message: Message
    document: Document
    users: int  # deliveries that were not sent yet
    size: int


class MessageCache:
    """Least recently added goes first.  One event loop only; nothing here waits."""

    __slots__ = ("_bytes", "_entries", "_limit")

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._entries: OrderedDict[MessageId, Cached] = OrderedDict()

    def add(self, message: Message, document: Document, users: int) -> None:
        # Decoded text, split segments and the bytes themselves: about four times the body.
        size = 4 * len(message.payload.body) + _OVERHEAD
        if size > self._limit // 8:
            return
        self._entries[message.id] = Cached(message, document, users, size)
        self._bytes += size
        while self._bytes > self._limit:
            self._bytes -= self._entries.popitem(last=False)[1].size

    def get(self, message_id: MessageId) -> Cached | None:
        return self._entries.get(message_id)

    def used(self, message_id: MessageId) -> None:
        """One of its deliveries was sent; after the last it is forgotten while it is still near."""
        entry = self._entries.get(message_id)
        if entry is None:
            return
        entry.users -= 1
        if not entry.users:
            self._bytes -= entry.size
            del self._entries[message_id]
