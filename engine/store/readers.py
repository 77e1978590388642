"""A few threads that read, each with its own connection.

Readers never hold the writer up, nor the event loop.  Every call is one short read transaction, so
that none keeps the WAL from being emptied.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from engine.store import failures
from engine.store.database import Connection, Database

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 3


class Readers:
    """``open`` and ``close`` on the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self._pool: ThreadPoolExecutor | None = None

    def open(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="carebus-store-reader")

    async def run(
        self,
        read: Callable[Concatenate[Connection, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """``read(connection, …)`` in one of the threads.  Raises StoreUnavailable."""
        return await self.call(lambda: self._read(read, *arguments, **named))

    async def call(self, work: Callable[[], T]) -> T:
        """Other blocking work in one of the threads."""
        if self._pool is None:
            raise failures.closed()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Waits for reads under way."""
        if self._pool is None:
            return
        self._pool.shutdown()
        self._pool = None
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()

    def _read(
        self,
        read: Callable[Concatenate[Connection, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        database = self._database
        kept = getattr(self._local, "connection", None)
        try:
            return read(self._connection(), *arguments, **named)
        except database.errors as error:
            if not database.is_lost(error):
                raise database.translate(error) from None
            self._forget()
            if kept is None:
                raise database.translate(error) from None
        # An idle connection was lost, and nobody noticed: the database may be there again.
        try:
            return read(self._connection(), *arguments, **named)
        except database.errors as error:
            if database.is_lost(error):
                self._forget()
            raise database.translate(error) from None

    def _connection(self) -> Connection:
        found: Any = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._database.connect_reader()
            with self._lock:
                self._connections.append(found)
        connection: Connection = found
        return connection

    def _forget(self) -> None:
        """This thread's connection is of no use any more."""
        found: Any = getattr(self._local, "connection", None)
        if found is not None:
            self._local.connection = None
            with self._lock:
                self._connections.remove(found)
            found.close()
