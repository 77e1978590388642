"""A proxy in front of a server that cuts a connection when it sees certain bytes pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class CuttingProxy:
    """While ``cut_after`` is set, the first connection on which the client sends these bytes is
    closed: the server gets them, and the client never sees the answer."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.cut_after: bytes | None = None
        self.cuts = 0
        self._target = (host, port)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CuttingProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(_copy(theirs, writer))
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                wanted = self.cut_after
                if wanted is not None and wanted in data:
                    self.cut_after = None
                    self.cuts += 1
                    answers.cancel()
                    ours.write(data)
                    await ours.drain()
                    break
                ours.write(data)
        answers.cancel()
        for each in (writer, ours):
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
