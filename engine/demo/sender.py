"""A hospital system that sends HL7 v2 over MLLP as a careful one does: one message at a time, and
the same message again until it is acknowledged.

It keeps its own small MLLP client, so that the engine is not tested with the engine's own code.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

START, END = b"\x0b", b"\x1c\r"
_POSITIVE = (b"AA", b"CA")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send: ``control_id`` is its MSH-10, ``key`` the patient it is about."""

    control_id: str
    key: str
    body: bytes = field(repr=False)


class Journal(Protocol):
    """Who is told what a sender did; called on the event loop, must not block."""

    def sending(self, message: Outgoing) -> None:
        """The bytes are about to leave; also before each repetition."""

    def acknowledged(self, message: Outgoing) -> None: ...
    def refused(self, message: Outgoing, code: str) -> None:
        """A negative answer; the same message is sent again unless ``code`` is AR or CR."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits of a sender, in seconds."""

    answer: float = 10.0  # for an acknowledgement, before the connection is given up
    reconnect: float = 0.05
    refused: float = 0.2


class SendingSystem:
    """One system with one connection.  With several ports it goes on to the next one whenever its
    connection fails.

    ``rate`` is messages a second; 0 sends as fast as answers come.  The sender never catches up
    with more than one second of messages after an outage.
    """

    def __init__(
        self,
        port: int | Sequence[int],
        messages: Iterator[Outgoing],
        journal: Journal,
        *,
        rate: float = 0.0,
        patience: Patience = Patience(),
    ) -> None:
        self.rate = rate
        self._ports = (port,) if isinstance(port, int) else tuple(port)
        self._turn = 0
        self._messages = messages
        self._journal = journal
        self._patience = patience
        self._stopping = asyncio.Event()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def stop(self) -> None:
        """No new message is begun; `run` returns after the present one."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until stopped or out of messages.  After `stop`, the message in hand is still
        repeated until it is acknowledged; a caller bounds that with a deadline of its own."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            for message in self._messages:
                if self._stopping.is_set():
                    return
                await self._until_acknowledged(message)
                if self.rate:
                    due = max(due + 1 / self.rate, loop.time() - 1)
                    await self._pause(due - loop.time())
        finally:
            await self._disconnect()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                return

    async def _until_acknowledged(self, message: Outgoing) -> None:
        while True:
            try:
                code = await self._exchange(message)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                await self._disconnect()
                self._turn += 1
                await asyncio.sleep(self._patience.reconnect)
                continue
            if code in _POSITIVE:
                self._journal.acknowledged(message)
                return
            self._journal.refused(message, code.decode("ascii", "replace"))
            if code in (b"AR", b"CR"):
                return
            await asyncio.sleep(self._patience.refused)

    async def _exchange(self, message: Outgoing) -> bytes:
        if self._streams is None:
            port = self._ports[self._turn % len(self._ports)]
            self._streams = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self._streams
        self._journal.sending(message)
        async with asyncio.timeout(self._patience.answer):
            return await self.asked(message, reader, writer)

    async def asked(
        self, message: Outgoing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Put the message on the wire and wait for the answer's code, as in MSA-1."""
        writer.write(START + message.body + END)
        frame = await reader.readuntil(END)
        return answer_code(frame, message.control_id.encode())

    async def _disconnect(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer_code(frame: bytes, control_id: bytes) -> bytes:
    """MSA-1 of an acknowledgement.  Raises EOFError when it answers another message or none: then
    nothing is known about this one, and the connection is of no use any more."""
    for segment in frame.strip(START + END).split(b"\r"):
        if segment.startswith(b"MSA"):
            fields = segment.split(segment[3:4])
            if len(fields) > 2 and fields[2] == control_id:
                return fields[1]
    raise EOFError("the answer is for another message")
