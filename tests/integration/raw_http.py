"""An HTTP peer of a few lines, for faults that no server library would make."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Given a whole request (head and body), say something or nothing; it may close the writer."""


class RawPeer:
    """``requests`` holds the whole of each; ``connections`` how many were ever made."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = asyncio.Event()  # set whenever a connection ends


@asynccontextmanager
async def raw_peer(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawPeer]:
    """Listens on a free port of 127.0.0.1 while entered."""
    peer = RawPeer()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        writers.append(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ]
                request = head + await reader.readexactly(sum(lengths))
                peer.requests.append(request)
                await script(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()
            peer.ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


def says(
    status: str, *, body: bytes = b"", headers: str = "", content_type: str = "text/plain"
) -> Script:
    """Always this answer."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)

    return script
