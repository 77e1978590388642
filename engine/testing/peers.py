"""Scripted peers over TCP, on raw sockets and bare protocols so that nothing is hidden in buffers.
A protocol adds a dialect: how a message, an answer or a reply looks in bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol, cast

from engine.contract import Outcome
from engine.testing.harness import Gone, Received, Reply

_BLOCK = b"x" * 65536


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


class ClientDialect(Protocol):
    """How a sending system of the protocol speaks."""

    def wire(self, body: bytes) -> bytes: ...
    def envelope(self, size: int) -> tuple[bytes, bytes]:
        """What goes before and after ``size`` bytes of content."""

    def take_answer(self, buffer: bytearray) -> Outcome | None:
        """Remove the first complete answer from ``buffer``; None when there is none yet."""


class TcpPeer:
    """A `SourcePeer` over one TCP connection; get one from `dial`."""

    def __init__(self, connection: socket.socket, dialect: ClientDialect) -> None:
        self._socket = connection
        self._dialect = dialect
        self._buffer = bytearray()

    async def offer(self, body: bytes) -> None:
        await self.write(self._dialect.wire(body))

    async def write(self, wire: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, wire)
        except OSError as error:
            raise Gone from error

    async def pour(self, size: int) -> None:
        before, after = self._dialect.envelope(size)
        await self.write(before)
        for _ in range(size // len(_BLOCK)):
            await self.write(_BLOCK)
        await self.write(_BLOCK[: size % len(_BLOCK)])
        await self.write(after)

    async def answer(self) -> Outcome:
        while (outcome := self._dialect.take_answer(self._buffer)) is None:
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._buffer += data
        return outcome

    async def leave(self) -> None:
        if self._socket.fileno() < 0:
            return
        # Linger 0: the other side sees a reset, as from a machine that was switched off.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


async def dial(host: str, port: int, dialect: ClientDialect, *, within: float = 2.0) -> TcpPeer:
    """Connect, again and again while refused.  Raises TimeoutError."""
    async with asyncio.timeout(within):
        while True:
            connection = socket.socket()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (host, port))
            except ConnectionRefusedError:
                connection.close()
                await asyncio.sleep(0.005)
            except BaseException:
                connection.close()
                raise
            else:
                return TcpPeer(connection, dialect)


class ServerDialect(Protocol):
    """How a receiving system of the protocol speaks."""

    def take_requests(self, buffer: bytearray) -> Iterable[bytes]:
        """Remove every complete request from ``buffer`` and give its body."""

    def reply(self, reply: Reply, body: bytes) -> bytes:
        """The bytes of YES, NEVER, LATER, GARBLED or FOREIGN as the reply to this request."""


class TcpServer:
    """A `DestinationPeer` that answers each connection's requests one after the other."""

    def __init__(self, dialect: ServerDialect, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.received: list[Received] = []
        self.peak = 0
        self.accepted = 0  # connections ever
        self._dialect = dialect
        self._tls = tls
        self._script: deque[Reply] = deque()
        self._lines: set[_Line] = set()
        self._open = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._in_flight = 0

    @property
    def connections(self) -> int:
        return len(self._lines)

    def script(self, *replies: Reply) -> None:
        self._script = deque(replies)
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Line(self), "127.0.0.1", self.port, ssl=self._tls, reuse_address=True
        )

    async def vanish(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for line in tuple(self._lines):
            line.drop()
        await self._empty.wait()
        await self._server.wait_closed()
        self._server = None

    def opened(self, line: _Line) -> int:
        """A line is there; returns its number."""
        self.accepted += 1
        self._lines.add(line)
        self._empty.clear()
        return self.accepted

    def closed(self, line: _Line) -> None:
        """A line is gone."""
        self._lines.discard(line)
        if not self._lines:
            self._empty.set()

    def requests(self, buffer: bytearray) -> Iterable[bytes]:
        """The complete requests in ``buffer``, removed from it."""
        return self._dialect.take_requests(buffer)

    def note(self, body: bytes, connection: int) -> Reply:
        """A request was read; returns what to do with it."""
        self.received.append(Received(body, connection))
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        return self._script.popleft() if self._script else Reply.YES

    async def words(self, reply: Reply, body: bytes) -> bytes | None:
        """What to say; None to end the connection.  Waits while held."""
        try:
            if reply is Reply.HOLD:
                await self._open.wait()
                reply = Reply.YES
            return None if reply is Reply.DIE else self._dialect.reply(reply, body)
        finally:
            self._in_flight -= 1


class _Line(asyncio.Protocol):
    """One connection to a TcpServer: one task answers its requests in order."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._requests: asyncio.Queue[tuple[Reply, bytes]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._number = self._server.opened(self)
        self._task = asyncio.get_running_loop().create_task(self._answer())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for body in self._server.requests(self._buffer):
            self._requests.put_nowait((self._server.note(body, self._number), body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._task.cancel()
        self._server.closed(self)

    def drop(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    async def _answer(self) -> None:
        while True:
            words = await self._server.words(*await self._requests.get())
            if words is None:
                self._transport.abort()
                return
            self._transport.write(words)
