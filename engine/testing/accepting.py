"""The ``accept`` that a suite gives to a source: it records, and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.contract import ErrorInfo, Inbound, MessageId, Outcome, Receipt, Stage

Chosen = Outcome | Callable[[Inbound], Outcome]


class RecordingAccept:
    """Call it as `engine.contract.Accept`.

    ``received`` holds every inbound in order of the calls, ``returned`` how many calls got their
    receipt, ``cancelled`` how many were cancelled while waiting, ``peak`` the most calls that
    waited at one time.  ``outcome`` is one outcome for all, or a function of the inbound.
    """

    def __init__(self, outcome: Chosen = Outcome.ACCEPTED) -> None:
        self.outcome = outcome
        self.received: list[Inbound] = []
        self.returned = 0
        self.cancelled = 0
        self.peak = 0
        self._waiting = 0
        self._holds: Callable[[Inbound], bool] | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._news = asyncio.Event()

    @property
    def bodies(self) -> list[bytes]:
        """What was received, as bytes."""
        return [inbound.payload.body for inbound in self.received]

    def hold(self, which: Callable[[Inbound], bool] | None = None) -> None:
        """From now on calls (those ``which`` picks; default all) wait for `release`."""
        self._holds = which or (lambda _inbound: True)
        self._open.clear()

    def release(self) -> None:
        """Let the waiting calls return, and hold no more."""
        self._holds = None
        self._open.set()

    async def count(self, calls: int, *, within: float = 5.0) -> None:
        """Return when at least so many calls have been made.  Raises TimeoutError."""
        async with asyncio.timeout(within):
            while len(self.received) < calls:
                self._news.clear()
                await self._news.wait()

    async def __call__(self, inbound: Inbound) -> Receipt:
        self.received.append(inbound)
        number = len(self.received)
        self._news.set()
        if self._holds is not None and self._holds(inbound):
            self._waiting += 1
            self.peak = max(self.peak, self._waiting)
            try:
                await self._open.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self._waiting -= 1
        outcome = self.outcome if isinstance(self.outcome, Outcome) else self.outcome(inbound)
        self.returned += 1
        return receipt(outcome, number)


def receipt(outcome: Outcome, number: int = 1) -> Receipt:
    """A receipt as intake makes it: an id when the message is owned, an error when it is not."""
    if outcome in (Outcome.ACCEPTED, Outcome.DUPLICATE):
        return Receipt(outcome, MessageId(f"00000000-0000-7000-8000-{number:012x}"))
    word = "rejected" if outcome is Outcome.REJECTED else "not available"
    return Receipt(outcome, error=ErrorInfo("TEST-NO", f"{word} by the suite", Stage.RECEIVING))
