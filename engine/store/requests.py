"""What waits for the writer: one object for each call, with the future its caller awaits.

Made on the event loop, filled by the writer thread (`result` or `failure`), answered on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.contract import DeliveryId, Event, NewMessage, StoreError

if TYPE_CHECKING:
    from engine.store.ledger import Ledger


class Request:
    """``weight`` is what it adds to a batch, in bytes; ``files`` are the content files that stay
    pinned until it is answered."""

    __slots__ = ("failure", "files", "future", "result")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future
        self.files: tuple[str, ...] = ()
        self.result: Any = None
        self.failure: StoreError | None = None

    @property
    def weight(self) -> int:
        return 0

    def answer(self) -> None:
        """On the event loop.  A caller that no longer waits is passed over."""
        if self.future.done():
            return
        if self.failure is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.failure)


class Accepting(Request):
    """``file``: where the content is when it is not in the database; result: `Stored`."""

    __slots__ = ("file", "new")

    def __init__(
        self, future: asyncio.Future[Any], new: NewMessage, file: str | None = None
    ) -> None:
        super().__init__(future)
        self.new = new
        self.file = file
        if file is not None:
            self.files = (file,)

    @property
    def weight(self) -> int:
        return len(self.new.message.payload.body)


class Recording(Request):
    __slots__ = ("event", "reply_file", "sent_file")

    def __init__(
        self,
        future: asyncio.Future[Any],
        event: Event,
        sent_file: str | None = None,
        reply_file: str | None = None,
    ) -> None:
        super().__init__(future)
        self.event = event
        self.sent_file = sent_file
        self.reply_file = reply_file
        self.files = tuple(file for file in (sent_file, reply_file) if file is not None)

    @property
    def weight(self) -> int:
        event = self.event
        return (len(event.sent.body) if event.sent else 0) + (
            len(event.reply.body) if event.reply else 0
        )


class Beginning(Request):
    __slots__ = ("attempt", "delivery")

    def __init__(self, future: asyncio.Future[Any], delivery: DeliveryId, attempt: int) -> None:
        super().__init__(future)
        self.delivery = delivery
        self.attempt = attempt


class Job(Request):
    """Any other work in the writer's transaction.  ``work`` raises only before it writes, so that
    its failure harms nobody in the same batch."""

    __slots__ = ("work",)

    def __init__(self, future: asyncio.Future[Any], work: Callable[[Ledger], Any]) -> None:
        super().__init__(future)
        self.work = work
