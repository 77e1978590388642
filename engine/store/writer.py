"""The one thread that writes, and the group commit.

The event loop puts requests in a queue; the thread takes all that wait (bounded), writes them in
one transaction, and wakes the loop once for each commit.  A request that fails harms no other in
its batch; a commit that fails (disk full) fails its whole batch and the writer goes on.

A connection that is lost is opened again, with a pause between the tries, in which everything is
refused at once.  When it is lost during a commit, nobody knows whether it was made: the writer
looks as soon as it can; until then it answers nobody for a while, then UNAVAILABLE.  If the commit
turns out to have been made after that answer, the subscribers still hear of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, Final

from engine.contract import StoreError
from engine.store import failures
from engine.store.database import CommitUnknown, Connection, Database
from engine.store.ledger import Ledger
from engine.store.requests import Request

MOST_REQUESTS: Final = 512
MOST_BYTES: Final = 8 * 1024 * 1024
BATCHES_UNTIL_TIDY: Final = 1000
"""After a tidying that could not be done, so that a reader that stays costs no more than once."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds between two tries to connect."""
DOUBT_SECONDS: Final = 10.0
"""How long those wait whose commit may have been made or not."""

Finished = Callable[[Sequence[Request]], None]


class Writer:
    """``finished`` is called on the loop with each batch, and answers its requests; ``late`` with
    one that was refused since nobody knew its outcome, and that turned out to be committed."""

    def __init__(self, database: Database, finished: Finished, late: Finished) -> None:
        self._database = database
        self._finished = finished
        self._late = late
        self._doubt: tuple[int, Sequence[Request]] | None = None
        self._failure: StoreError | None = None  # of the last try to connect
        self._pause = 0.0
        self._again_at = 0.0
        self._untidy = 0  # batches until it is tried again
        self._waiting: SimpleQueue[Request | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._stopped: asyncio.Event | None = None
        self._broken = False
        self.commits = 0

    def start(self, ledger: Ledger) -> None:
        """On the event loop, with a ledger that is loaded; it belongs to the thread now."""
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._open = True
        self._thread = threading.Thread(
            target=self._run, args=(ledger,), name="carebus-store-writer", daemon=True
        )
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Raises StoreUnavailable when the writer is closed."""
        if not self._open:
            raise failures.closed()
        self._waiting.put(request)

    def future(self) -> asyncio.Future[Any]:
        if self._loop is None or not self._open:
            raise failures.closed()
        return self._loop.create_future()

    async def stop(self, grace: timedelta) -> bool:
        """Write what waits, then end.  False when the grace was too short."""
        if self._stopped is None:
            return True
        if self._open:
            self._open = False
            self._waiting.put(None)
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    # --- in the thread ----------------------------------------------------------------------

    def _run(self, ledger: Ledger) -> None:
        waiting = self._waiting
        while True:
            request = waiting.get()
            if request is None:
                break
            batch = [request]
            weight = request.weight
            last = False
            while len(batch) < MOST_REQUESTS and weight < MOST_BYTES:
                try:
                    request = waiting.get_nowait()
                except Empty:
                    break
                if request is None:
                    last = True
                    break
                batch.append(request)
                weight += request.weight
            self._commit(ledger, batch)
            self._on_loop(self._finished, batch)
            self._tidied(ledger.connection)
            if last:
                break
        ledger.connection.close()
        if self._stopped is not None:
            self._on_loop(self._stopped.set)

    def _tidied(self, connection: Connection) -> None:
        if self._untidy or self._broken:
            self._untidy = max(0, self._untidy - 1)
            return
        try:
            done = self._database.tidy(connection)
        except self._database.errors:
            done = False  # a full or failing disk: the next commit says so to whom it concerns
        if not done:
            self._untidy = BATCHES_UNTIL_TIDY

    def _commit(self, ledger: Ledger, batch: Sequence[Request]) -> None:
        database = self._database
        failure: StoreError
        alone = False
        try:
            if self._broken:
                self._reconnect(ledger)
            ledger.write(batch)  # the first change begins the transaction
            ledger.connection.commit()
            self.commits += 1
            return
        except StoreError as error:  # no connection
            failure = error
        except CommitUnknown as unknown:
            self._broken = True
            if self._was_committed(ledger, unknown.mark, batch):
                return
            failure = failures.unknown_commit()
        except database.errors as error:
            failure, alone = database.translate(error), database.is_refusal(error)
            self._broken = database.is_lost(error)
        except Exception as error:
            # The thread must outlive every request: whoever it was, he alone is refused.
            failure, alone = _unstorable(error), True
        self._roll_back(ledger)
        parts = [part for request in batch for part in request.split()] if alone else []
        if len(parts) > 1:
            for part in parts:
                part.result, part.failure = None, None
                self._commit(ledger, (part,))
            return
        for request in batch:
            request.failure = failure

    def _reconnect(self, ledger: Ledger) -> None:
        """Raises StoreUnavailable, without a try when the last one was a moment ago."""
        if self._failure is not None and time.monotonic() < self._again_at:
            raise self._failure
        try:
            ledger.connection = self._database.connect_writer()
            if self._doubt is not None:
                mark, batch = self._doubt
                committed = ledger.connection.committed(mark)
                self._doubt = None
                if committed:
                    self._on_loop(self._late, batch)
        except self._database.errors as error:
            self._failure = self._database.translate(error)
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
            self._again_at = time.monotonic() + self._pause
            raise self._failure from None
        self._failure, self._pause, self._broken = None, 0.0, False

    def _was_committed(self, ledger: Ledger, mark: int, batch: Sequence[Request]) -> bool:
        """Look until it is known, `DOUBT_SECONDS` at most."""
        ledger.forget()
        ledger.connection.close()
        deadline = time.monotonic() + DOUBT_SECONDS
        while True:
            try:
                ledger.connection = self._database.connect_writer()
                committed = ledger.connection.committed(mark)
            except self._database.errors:
                if time.monotonic() > deadline:
                    self._doubt = (mark, batch)
                    return False
                time.sleep(FIRST_PAUSE)
            else:
                self._broken = False
                return committed

    def _roll_back(self, ledger: Ledger) -> None:
        ledger.forget()
        try:
            ledger.connection.rollback()
        except self._database.errors:
            self._broken = True
        if self._broken:  # it may hold a stale view of the files: the next batch opens a new one
            ledger.connection.close()

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            return  # the loop is closed: nobody waits for an answer any more


def _unstorable(error: Exception) -> StoreError:
    return failures.unavailable(
        "STORE-REFUSED", f"the database driver refused a value ({type(error).__name__})"
    )
