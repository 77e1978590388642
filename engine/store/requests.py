"""What waits for the writer: one object for each call, with the future its caller awaits.

Made on the event loop, filled by the writer thread (`result` or `failure`), answered on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.contract import DeliveryId, Event, NewMessage, StoreError

if TYPE_CHECKING:
    from engine.store.ledger import Ledger


_EVENT: Final = 16 * 1024
"""What an event of many weighs besides its content: 512 of them are a batch."""


class Request:
    """``weight`` is what it adds to a batch, in bytes; ``files`` are the content files that stay
    pinned until it is answered."""

    __slots__ = ("failure", "files", "future", "result")

    def __init__(self, future: asyncio.Future[Any] | None) -> None:
        self.future = future
        self.files: tuple[str, ...] = ()
        self.result: Any = None
        self.failure: StoreError | None = None

    @property
    def weight(self) -> int:
        return 0

    def split(self) -> Sequence[Request]:
        """The smallest requests it consists of, for finding the one that spoils a batch."""
        return (self,)

    def answer(self) -> None:
        """On the event loop.  A caller that no longer waits is passed over."""
        if self.future is None or self.future.done():
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
        future: asyncio.Future[Any] | None,
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


class RecordingAll(Request):
    """Many events, one future; result: a failure or None for each."""

    __slots__ = ("parts",)

    def __init__(self, future: asyncio.Future[Any], parts: Sequence[Recording]) -> None:
        super().__init__(future)
        self.parts = parts
        self.files = tuple(file for part in parts for file in part.files)

    @property
    def weight(self) -> int:
        return sum(part.weight + _EVENT for part in self.parts)

    def split(self) -> Sequence[Request]:
        return self.parts

    def answer(self) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_result([self.failure or part.failure for part in self.parts])


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


def events_of(requests: Sequence[Request]) -> int:
    """How many events are sure to be needed; none where a job gives ids of its own between."""
    if any(isinstance(request, Job) for request in requests):
        return 0
    return sum(
        len(request.parts) if isinstance(request, RecordingAll) else 1
        for request in requests
        if isinstance(request, Recording | RecordingAll)
    )
