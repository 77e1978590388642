"""Senders that wait until all of a message's deliveries are sent (``acknowledge: delivered``)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine.contract import ErrorInfo, Event, MessageId, Stage, State


@dataclass(slots=True)
class _Wait:
    missing: int
    ended: asyncio.Future[ErrorInfo | None]


class Awaited:
    """One event loop.  Costs one look-up for each finished delivery where nobody waits."""

    __slots__ = ("_waits",)

    def __init__(self) -> None:
        self._waits: dict[MessageId, _Wait] = {}

    def expect(self, message_id: MessageId, deliveries: int) -> asyncio.Future[ErrorInfo | None]:
        """A future with None once all are sent, or with the first error that stops one.

        Cancel it when the wait is over, however it ended.
        """
        ended: asyncio.Future[ErrorInfo | None] = asyncio.get_running_loop().create_future()
        self._waits[message_id] = _Wait(deliveries, ended)
        ended.add_done_callback(lambda _: self._waits.pop(message_id, None))
        return ended

    def finished(self, event: Event) -> None:
        wait = self._waits.get(event.message_id)
        if wait is None or wait.ended.done():
            return
        if event.state is State.SENT:
            wait.missing -= 1
            if not wait.missing:
                wait.ended.set_result(None)
        else:
            wait.ended.set_result(event.error or _STOPPED)


_STOPPED = ErrorInfo("FLOW-STOPPED", "a delivery was stopped", Stage.SENDING)
