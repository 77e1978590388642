"""The simulated ward system: a second HL7 receiver, which answers AA to every message over MLLP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self, cast

from engine.demo.samples import control_id_in
from engine.demo.sender import END, START

_LARGEST_FRAME = 16 * 1024 * 1024


class Ward:
    """Listens on loopback.  ``arrived`` is called with the control id of each message, before it
    is answered."""

    def __init__(self, port: int, arrived: Callable[[str | None], None]) -> None:
        self.port = port
        self._arrived = arrived
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=_LARGEST_FRAME
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.add(task)
        try:
            while True:
                frame = await reader.readuntil(END)
                self._arrived(control_id_in(frame))
                writer.write(START + acknowledgement(frame) + END)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return
        finally:
            self._serving.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def acknowledgement(frame: bytes) -> bytes:
    """AA with the sender's delimiters and control id."""
    header = frame.lstrip(START).split(b"\r", 1)[0]
    separator = header[3:4]
    fields = header.split(separator)
    control_id, version = (fields[9], fields[11]) if len(fields) > 11 else (b"", b"2.5.1")
    answer = [b"MSH", fields[1], b"WARD", b"CENTRAL", *fields[2:4], b"20260301000000", b""]
    answer += [b"ACK", b"W" + control_id[-19:], b"P", version]
    return separator.join(answer) + b"\r" + separator.join((b"MSA", b"AA", control_id)) + b"\r"
