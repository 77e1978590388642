"""The listening side: `MllpSource`, an `engine.contract.Source`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta
from typing import Any, Final

from connectors.mllp.answering import Answers
from connectors.mllp.connection import Connection, payload
from connectors.mllp.errors import error
from connectors.mllp.settings import MllpListenerSettings
from connectors.mllp.sockets import address, bound
from connectors.pace import Pace
from engine.contract import Accept, Inbound, NotConnected, Outcome, Receipt, Services, Stage

_BACKLOG: Final = 512
_BREATH: Final = 0.5  # seconds
_ABORTED: Final = timedelta(seconds=1)  # for transports to say that they are gone


class MllpSource:
    """Listens, and serves each connection by one task.

    ``open`` binds the address, ``run`` listens.  When ``run`` is cancelled no more connections
    and messages are taken; ``close`` gives those in work its grace to be answered, and drops the
    rest without an answer.  An exception out of ``accept`` ends ``run`` with it.
    """

    def __init__(self, settings: MllpListenerSettings, services: Services) -> None:
        limits = services.limits
        self.message_limit = limits.message
        self.log: Any = services.log
        self.tls: ssl.SSLContext | None = None
        self.handshake_timeout = settings.handshake_timeout
        self._settings = settings
        self._services = services
        self._answers = Answers(charset=services.charset, now=services.now)
        self._charset = services.charset
        self._pace = Pace(limits.rate)
        self._timeout = settings.acknowledge_timeout
        self._connections: set[Connection] = set()
        self._listeners: list[socket.socket] = []
        self._accept: Accept | None = None
        self._broken: asyncio.Future[None] | None = None
        self._empty = asyncio.Event()
        self._full = False

    @property
    def port(self) -> int:
        """The port listened on; 0 while closed."""
        return int(self._listeners[0].getsockname()[1]) if self._listeners else 0

    async def open(self) -> None:
        """Bind the address.  Raises NotConnected when it is taken, ConfigError for TLS files."""
        settings = self._settings
        self._stop_listening()
        if settings.tls is not None:
            self.tls = self._services.tls(settings.tls, server=True)
        try:
            self._listeners = await bound(
                settings.host, settings.port, shared=self._services.shares_port
            )
        except OSError as cause:
            reason = cause.strerror or type(cause).__name__
            summary = f"cannot listen on {settings.host}:{settings.port}: {reason}"
            raise NotConnected(error("MLLP-LISTEN", summary, Stage.STARTING)) from cause

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled.  Raises what ``accept`` raised, which stops the source."""
        if not self._listeners:
            raise NotConnected(error("MLLP-LISTEN", "run before open", Stage.STARTING))
        self._accept = accept
        self._broken = asyncio.get_running_loop().create_future()
        for listener in self._listeners:
            listener.listen(_BACKLOG)
            self._watch(listener)
        try:
            while not self._broken.done():
                await asyncio.wait([self._broken], timeout=self._sweep())
            self._broken.result()
        finally:
            self._broken = None
            self._stop_listening()

    async def close(self, grace: timedelta) -> None:
        """Answer what is accepted within ``grace``, then drop every connection."""
        self._stop_listening()
        if not await self._emptied(grace):
            for connection in tuple(self._connections):
                connection.abort()
            await self._emptied(_ABORTED)
        self._accept = None

    # --- for connections (connection.Site) --------------------------------------------------

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        task = connection.task
        if not task.cancelled():
            failure = task.exception()
            if failure is not None and self._broken is not None and not self._broken.done():
                self._broken.set_exception(failure)
        if not self._connections:
            self._empty.set()

    def inbound(self, body: bytes, peer: str) -> Inbound:
        return Inbound(payload(body, self._charset), self._services.now(), peer)

    def answer(self, body: bytes, receipt: Receipt) -> bytes | None:
        return self._answers.answer(body, receipt)

    async def offer(self, inbound: Inbound) -> Receipt:
        if self._accept is None:
            raise asyncio.CancelledError
        await self._pace.turn()
        if self._timeout is None:
            return await self._accept(inbound)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await self._accept(inbound)
        except TimeoutError:
            self.log.warning("mllp message not accepted in time", code="MLLP-LATE")
            summary = f"not accepted within {self._timeout.total_seconds():g} s"
            late = error("MLLP-LATE", summary, Stage.RECEIVING)
            return Receipt(Outcome.UNAVAILABLE, error=late)

    # --- small steps ------------------------------------------------------------------------

    def _sweep(self) -> float:
        """End the connections that were silent for too long; seconds until the next sweep."""
        limit = self._services.limits.idle.total_seconds()
        oldest = asyncio.get_running_loop().time() - limit
        for connection in tuple(self._connections):
            since = connection.idle_since
            if since is not None and since < oldest:
                self.log.debug("mllp connection idle")
                connection.expire()
        return min(max(limit / 4, 0.02), 30.0)

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._take, listener)

    def _take(self, listener: socket.socket) -> None:
        """Make a connection of every caller for whom there is room.

        Sockets are accepted here and not by a server of the loop, so that a peer which is still
        shaking hands counts, and one whose handshake fails can be named in the log.
        """
        loop = asyncio.get_running_loop()
        for _ in range(_BACKLOG):
            try:
                accepted, peername = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as cause:  # too many open files: callers wait in the backlog
                self.log.error("mllp cannot accept", reason=cause.strerror)
                loop.remove_reader(listener)
                loop.call_later(_BREATH, self._watch, listener)
                return
            if not self._room():
                accepted.close()
                continue
            accepted.setblocking(False)
            self._empty.clear()
            self._connections.add(Connection(self, accepted, address(peername)))

    def _room(self) -> bool:
        """Whether one more connection is within the limit."""
        limit = self._services.limits.connections
        if len(self._connections) < limit:
            self._full = False
            return True
        if not self._full:  # said once until there is room again: a flood must not flood the log
            self.log.warning("mllp connection limit reached", limit=limit)
        self._full = True
        return False

    def _stop_listening(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for connection in tuple(self._connections):
            connection.stop()

    async def _emptied(self, within: timedelta) -> bool:
        """Whether every connection was gone in time."""
        if not self._connections:
            return True
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
