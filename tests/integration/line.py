"""A TCP line between two systems that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """A TCP line between the two that can be cut after so many bytes, counted over all."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.passed = 0
        self.cut_after: int | None = None
        self._to = port
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Line]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await server.wait_closed()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers += [writer, there[1]]
        await asyncio.gather(
            self._pass(reader, there[1], counted=True), self._pass(there[0], writer, counted=False)
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        try:
            while data := await reader.read(16384):
                writer.write(data)
                await writer.drain()
                self.passed += len(data) if counted else 0
                if self.cut_after is not None and self.passed > self.cut_after:
                    self.cut_after = None
                    self.cut()
        except OSError:
            return
        finally:
            writer.close()
